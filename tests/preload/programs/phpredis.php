<?php
// phpredis: PHP's streams over the descriptor, with their own poll before each read.
[, $mode, $path] = $argv;

function check($is_right, $what) {
    if (!$is_right) {
        fwrite(STDERR, "wrong: $what\n");
        exit(1);
    }
}

$db = new Redis();
$db->connect($path, 0, null, 0, $mode === 'survive' ? 0 : 60);
$db->setOption(Redis::OPT_READ_TIMEOUT, $mode === 'survive' ? -1 : 60);
check($db->ping(), 'PING');
if ($mode === 'survive') {
    $db->setOption(Redis::OPT_MAX_RETRIES, 0);
    echo "ready\n";
    try {
        $db->blPop(['nothing'], 0);
    } catch (RedisException $fault) {
        echo "told\n";
    }
    fgets(STDIN);
    $db->connect($path);
    check($db->set('again', 1), 'SET after a restart');
    echo "back\n";
    exit(0);
}
for ($number = 0; $number < 300; $number++) {
    check($db->set('key', $number) && $db->get('key') == $number, 'SET and GET');
}
$large = random_bytes(3000000);
check($db->set('large', $large) && $db->get('large') === $large, 'a large value');
$pipe = $db->multi(Redis::PIPELINE);
for ($number = 0; $number < 5000; $number++) {
    $pipe->echo("$number");
}
check($pipe->exec() === array_map('strval', range(0, 4999)), 'a pipeline');

$stream = stream_socket_client("unix://$path");
stream_set_timeout($stream, 60);
fwrite($stream, "PING\r\n");
check(fgets($stream) === "+PONG\r\n", 'a plain stream');
stream_set_blocking($stream, false);
check(fgets($stream) === false, 'a stream that does not block');
fclose($stream);
echo "done\n";
