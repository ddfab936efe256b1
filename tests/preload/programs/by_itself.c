/* Asks the server at a socket's path, by system calls of its own, how the connection is carried, and prints the answer:
 * compiled statically, no library is loaded before it; otherwise one is, and sees no call.
 *
 *     by-itself SOCKET */
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define REQUEST "CLIENT INFO\r\n"

static long call(long number, long a, long b, long c)
{
#if defined(__x86_64__)
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
    return x0;
#else
#error "how system calls are made here is not known"
#endif
}

int main(int argc, char **argv)
{
    char answer[2000];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (argc != 2 || strlen(argv[1]) >= sizeof address.sun_path)
        return 2;
    strcpy(address.sun_path, argv[1]);
    long line = call(SYS_socket, AF_UNIX, SOCK_STREAM, 0);
    if (line < 0 || call(SYS_connect, line, (long)&address, sizeof address) != 0)
        return 1;
    if (call(SYS_write, line, (long)REQUEST, sizeof REQUEST - 1) != sizeof REQUEST - 1)
        return 1;
    long size = call(SYS_read, line, (long)answer, sizeof answer);
    return size <= 0 || call(SYS_write, STDOUT_FILENO, (long)answer, size) != size;
}
