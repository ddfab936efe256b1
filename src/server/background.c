/* Going into the background, and telling a supervisor: see process.h.
 *
 *   parent: fork ---- waits ------------------------ a byte: status 0 | end of file: the child's status
 *   child:         setsid, start, listen --- process_detached --- runs on
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/process.h"

/* ---- Background ----------------------------------------------------------------------------------- */

static _Noreturn void wait_for_child(pid_t child, int report)
{
    char byte;
    ssize_t size;
    do
        size = read(report, &byte, 1);
    while (size < 0 && errno == EINTR);
    if (size == 1)
        _exit(0);
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    _exit(WIFEXITED(status) && WEXITSTATUS(status) != 0 ? WEXITSTATUS(status) : 1);
}

enum status process_detach(const struct config *config, int *ret_report)
{
    int ends[2];
    *ret_report = -1;
    if (!config->daemonize || process_supervisor(config) != CONFIG_SUPERVISED_NO)
        return ST_OK;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return ST_IO;
    pid_t child = fork();
    if (child < 0) {
        int reason = errno;
        close(ends[0]);
        close(ends[1]);
        errno = reason;
        return ST_IO;
    }
    if (child > 0) {
        close(ends[1]);
        wait_for_child(child, ends[0]);
    }
    close(ends[0]);
    setsid();
    *ret_report = ends[1];
    return ST_OK;
}

void process_detached(int report)
{
    if (report < 0)
        return;
    int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = STDIN_FILENO; nowhere >= 0 && fd <= STDERR_FILENO; fd++)
        dup2(nowhere, fd);
    if (nowhere > STDERR_FILENO)
        close(nowhere);
    /* A parent that was killed meanwhile is nobody's loss. */
    ssize_t written = write(report, "", 1);
    (void)written;
    close(report);
}

/* ---- Supervisor ----------------------------------------------------------------------------------- */

enum config_supervised process_supervisor(const struct config *config)
{
    if (config->supervised != CONFIG_SUPERVISED_AUTO)
        return (enum config_supervised)config->supervised;
    if (getenv("UPSTART_JOB") != NULL)
        return CONFIG_SUPERVISED_UPSTART;
    return getenv("NOTIFY_SOCKET") != NULL ? CONFIG_SUPERVISED_SYSTEMD : CONFIG_SUPERVISED_NO;
}

/* As sd_notify(3) says: a datagram to the socket that the environment names, '@' for one without a file. */
static bool tell_systemd(const char *text)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (path == NULL || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof address.sun_path)
        return false;
    size_t size = strlen(path);
    memcpy(address.sun_path, path, size);
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    ssize_t sent = sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size));
    close(fd);
    return sent >= 0;
}

bool process_tell_ready(const struct config *config)
{
    switch (process_supervisor(config)) {
    case CONFIG_SUPERVISED_SYSTEMD: return tell_systemd("READY=1\nSTATUS=ready to accept connections\n");
    case CONFIG_SUPERVISED_UPSTART:
        if (getenv("UPSTART_JOB") == NULL)
            return false;
        return raise(SIGSTOP) == 0;
    case CONFIG_SUPERVISED_NO:
    case CONFIG_SUPERVISED_AUTO: break;
    }
    return true;
}

bool process_tell_stopping(const struct config *config)
{
    return process_supervisor(config) != CONFIG_SUPERVISED_SYSTEMD ||
           tell_systemd("STOPPING=1\nSTATUS=ending\n");
}
