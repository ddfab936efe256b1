// The JDK's Unix socket channels, blocking and with a selector: what Jedis and Lettuce stand on. No library is needed.
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.util.Arrays;

public class Channels {
    static void check(boolean isRight, String what) {
        if (!isRight)
            throw new IllegalStateException("wrong: " + what);
    }

    static SocketChannel open(String path) throws IOException {
        return SocketChannel.open(UnixDomainSocketAddress.of(path));
    }

    static void send(SocketChannel channel, byte[] bytes) throws IOException {
        ByteBuffer request = ByteBuffer.wrap(bytes);
        while (request.hasRemaining())
            channel.write(request);
    }

    // Reads exactly so many bytes.
    static byte[] take(SocketChannel channel, int size) throws IOException {
        ByteBuffer answer = ByteBuffer.allocate(size);
        while (answer.hasRemaining())
            if (channel.read(answer) < 0)
                throw new IOException("the end");
        return answer.array();
    }

    static void ping(SocketChannel channel) throws IOException {
        send(channel, "PING\r\n".getBytes());
        check(new String(take(channel, 7)).equals("+PONG\r\n"), "PING");
    }

    static void exchangeBlocking(String path) throws IOException {
        try (SocketChannel channel = open(path)) {
            for (int i = 0; i < 1000; i++)
                ping(channel);
            byte[] large = new byte[3_000_000];
            Arrays.fill(large, (byte) 'j');
            send(channel, ("*3\r\n$3\r\nSET\r\n$1\r\nj\r\n$" + large.length + "\r\n").getBytes());
            send(channel, large);
            send(channel, "\r\n*2\r\n$3\r\nGET\r\n$1\r\nj\r\n".getBytes());
            byte[] head = ("+OK\r\n$" + large.length + "\r\n").getBytes();
            check(Arrays.equals(take(channel, head.length), head), "the head of a large value");
            check(Arrays.equals(take(channel, large.length), large), "a large value");
        }
    }

    static void exchangeSelecting(String path) throws IOException {
        try (SocketChannel channel = open(path); Selector selector = Selector.open()) {
            channel.configureBlocking(false);
            channel.register(selector, SelectionKey.OP_READ);
            for (int i = 0; i < 1000; i++) {
                channel.write(ByteBuffer.wrap("PING\r\n".getBytes()));
                ByteBuffer answer = ByteBuffer.allocate(7);
                while (answer.hasRemaining()) {
                    selector.select();
                    selector.selectedKeys().clear();
                    channel.read(answer);
                }
                check(new String(answer.array()).equals("+PONG\r\n"), "PING by selector");
            }
        }
    }

    // A channel that another thread closes lets go of its reader.
    static void closeUnderReader(String path) throws Exception {
        SocketChannel channel = open(path);
        ping(channel);
        Thread reader = new Thread(() -> {
            try {
                check(channel.read(ByteBuffer.allocate(10)) < 0, "a read of nothing");
            } catch (IOException fault) {
                // as the JDK promises
            }
        });
        reader.start();
        while (reader.getState() != Thread.State.RUNNABLE)
            Thread.onSpinWait();
        channel.close();
        reader.join();
    }

    static void survive(String path) throws IOException {
        SocketChannel channel = open(path);
        ping(channel);
        System.out.println("ready");
        try {
            take(channel, 1);
        } catch (IOException fault) {
            System.out.println("told");
        }
        channel.close();
        System.in.read();
        try (SocketChannel again = open(path)) {
            ping(again);
        }
        System.out.println("back");
    }

    public static void main(String[] arguments) throws Exception {
        if (arguments[0].equals("survive")) {
            survive(arguments[1]);
            return;
        }
        exchangeBlocking(arguments[1]);
        exchangeSelecting(arguments[1]);
        closeUnderReader(arguments[1]);
        System.out.println("done");
    }
}
