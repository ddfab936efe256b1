/* Crash reports.
 *
 * Principal entry points: see base/crash.h.
 * Threads: any may crash. Everything from on_signal on is async-signal-safe: it writes with write, formats
 * into its own stack, and calls backtrace, which is safe after its first call has loaded the unwinder
 * (crash_install makes that call).
 *
 * K1  One thread reports. `reporter` is its number; a second thread that crashes waits for the end, and a
 *     crash within the report gives up the report. */
#include "base/crash.h"

#include <errno.h>
#include <execinfo.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/num.h"
#include "base/role.h"

#define CRASH_STACK_SIZE       (64 * 1024) /* the unwinder and `describe` run on it */
#define CRASH_FRAMES_MAX       64
#define CRASH_THREAD_NAME_SIZE 16 /* fixed by the kernel */

static const int crash_signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};

static struct crash_options crash_options = {.fd = STDERR_FILENO};
static _Atomic int reporter; /* K1; 0: nobody */
static _Thread_local void *crash_stack;

static void put_bytes(const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t written = write(crash_options.fd, bytes, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return;
        bytes += written;
        size -= (size_t)written;
    }
}

static void put(const char *text)
{
    put_bytes(text, strlen(text));
}

static void put_number(int64_t value)
{
    char text[NUM_I64_TEXT_MAX];
    put_bytes(text, num_format_i64(value, text));
}

static void put_address(uintptr_t address)
{
    char text[2 + 2 * sizeof(address)] = "0x";
    for (size_t i = 0; i < 2 * sizeof(address); i++)
        text[sizeof(text) - 1 - i] = "0123456789abcdef"[address >> 4 * i & 15];
    put_bytes(text, sizeof(text));
}

static const char *signal_name(int number)
{
    switch (number) {
    case SIGSEGV: return "SIGSEGV";
    case SIGBUS: return "SIGBUS";
    case SIGFPE: return "SIGFPE";
    case SIGILL: return "SIGILL";
    case SIGABRT: return "SIGABRT";
    default: return "signal";
    }
}

static void put_thread(void)
{
    char name[CRASH_THREAD_NAME_SIZE + 1] = "";
    prctl(PR_GET_NAME, name);
    put("thread:  ");
    put_number(syscall(SYS_gettid));
    put(" ");
    put(name);
    if (role_of_thread & ROLE_EXECUTOR)
        put(" executor");
    if (role_of_thread & ROLE_IO)
        put(" io");
    if (role_of_thread & ROLE_WORKER)
        put(" worker");
    put("\n");
}

static void put_registers(const ucontext_t *context)
{
#if defined(__x86_64__)
    uintptr_t pc = (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
    uintptr_t sp = (uintptr_t)context->uc_mcontext.gregs[REG_RSP];
#elif defined(__aarch64__)
    uintptr_t pc = (uintptr_t)context->uc_mcontext.pc;
    uintptr_t sp = (uintptr_t)context->uc_mcontext.sp;
#else
    return;
#endif
#if defined(__x86_64__) || defined(__aarch64__)
    put("pc:      ");
    put_address(pc);
    put("\nsp:      ");
    put_address(sp);
    put("\n");
#endif
}

static void put_stack(void)
{
    void *frames[CRASH_FRAMES_MAX];
    put("stack (addr2line -e PROGRAM -f OFFSET tells the lines):\n");
    backtrace_symbols_fd(frames, backtrace(frames, CRASH_FRAMES_MAX), crash_options.fd);
}

static void put_head(void)
{
    put("\n=== SKUA CRASH REPORT: please send everything from here to the end ===\n");
    if (crash_options.version) {
        put("version: ");
        put(crash_options.version);
        put("\n");
    }
}

static void put_tail(void)
{
    if (crash_options.describe)
        crash_options.describe(crash_options.fd, crash_options.context);
    put("=== END OF CRASH REPORT ===\n");
}

/* True for the one thread that may report. Does not return in a second thread. False inside a report. */
static bool become_reporter(void)
{
    int self = (int)syscall(SYS_gettid);
    int nobody = 0;
    if (atomic_compare_exchange_strong(&reporter, &nobody, self))
        return true;
    if (nobody == self)
        return false;
    for (;;)
        pause();
}

static void die_by_default(int number)
{
    sigset_t set;
    signal(number, SIG_DFL);
    sigemptyset(&set);
    sigaddset(&set, number);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    raise(number);
    _exit(128 + number);
}

static void on_signal(int number, siginfo_t *info, void *context)
{
    if (become_reporter()) {
        put_head();
        put("signal:  ");
        put_number(number);
        put(" ");
        put(signal_name(number));
        put(", code ");
        put_number(info->si_code);
        put("\n");
        if (info->si_code > 0) { /* from the processor; otherwise somebody sent it */
            put("address: ");
            put_address((uintptr_t)info->si_addr);
            put("\n");
        }
        put_thread();
        put_registers(context);
        put_stack();
        put_tail();
    } else {
        put("(the report crashed itself)\n");
    }
    die_by_default(number);
}

void crash_bug(const char *file, int line, const char *text)
{
    if (become_reporter()) {
        put_head();
        put("BUG at ");
        put(file);
        put(":");
        put_number(line);
        put(": ");
        put(text);
        put("\n");
        put_thread();
        put_stack();
        put_tail();
    }
    signal(SIGABRT, SIG_DFL);
    abort();
}

void crash_thread_enter(const char *name)
{
    if (name)
        prctl(PR_SET_NAME, name);
    if (crash_stack)
        return;
    void *memory =
        mmap(NULL, CRASH_STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (memory == MAP_FAILED)
        return; /* the handler then runs on the thread's own stack */
    if (sigaltstack(&(stack_t){.ss_sp = memory, .ss_size = CRASH_STACK_SIZE}, NULL) != 0) {
        munmap(memory, CRASH_STACK_SIZE);
        return;
    }
    crash_stack = memory;
}

void crash_thread_leave(void)
{
    if (crash_stack == NULL)
        return;
    sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL);
    munmap(crash_stack, CRASH_STACK_SIZE);
    crash_stack = NULL;
}

void crash_signals_remove(sigset_t *set)
{
    for (size_t i = 0; i < ARRAY_COUNT(crash_signals); i++)
        sigdelset(set, crash_signals[i]);
}

void crash_install(const struct crash_options *options)
{
    void *frame;
    crash_options = *options;
    backtrace(&frame, 1);
    crash_thread_enter(NULL);
    /* SA_NODEFER: a crash within the report must reach the handler again, which then gives up (K1). */
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < ARRAY_COUNT(crash_signals); i++)
        sigaction(crash_signals[i], &action, NULL);
}
