/* Fibers: stacks, and the switch between them. See fiber.h. Threads: the fiber's owner.
 *
 * F1  While a fiber is not running, `stack_pointer` points at the saved registers on its stack; while it runs, at those of
 *     whoever resumed it. So one field serves both ways, and a switch exchanges it with the processor's. */
#include "base/fiber.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "base/macros.h"

#if defined(__SANITIZE_ADDRESS__)
#define FIBER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIBER_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define FIBER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FIBER_TSAN 1
#endif
#endif
/* A function of which ThreadSanitizer does not keep that it has been entered: it is never left. */
#if defined(FIBER_TSAN) && defined(__clang__)
#define FIBER_UNTRACED __attribute__((disable_sanitizer_instrumentation))
#elif defined(FIBER_TSAN)
#define FIBER_UNTRACED __attribute__((no_sanitize_thread))
#else
#define FIBER_UNTRACED
#endif
#ifdef FIBER_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef FIBER_TSAN
#include <sanitizer/tsan_interface.h>
#endif

enum fiber_state { FIBER_IDLE, FIBER_PAUSED, FIBER_RUNNING };

struct fiber {
    void *stack_pointer; /* F1 */
    enum fiber_state state;
    void (*function)(void *context);
    void *context;
    char *mapping; /* the guard page, and the stack above it */
    size_t guard_size;
    size_t stack_size;
#ifdef FIBER_ASAN
    const void *resumer_stack;
    size_t resumer_stack_size;
#endif
#ifdef FIBER_TSAN
    void *tsan_fiber;
    void *tsan_resumer;
#endif
};

/* ---- The switch ------------------------------------------------------------------------------------- */

/* Pushes the registers that a call preserves, exchanges the stack pointer with *stack_pointer, and pops them from there. */
void fiber_switch(void **stack_pointer);

/* Where a new fiber's first switch goes: hands the fiber, which lies in a preserved register, to fiber_main. */
void fiber_enter(void);

/* Runs on the fiber's stack; does not return. */
__attribute__((used, noreturn)) FIBER_UNTRACED void fiber_main(struct fiber *fiber);

#if defined(__x86_64__)

enum { SAVED_WORDS = 7, SAVED_FIBER = 3, SAVED_RETURN = 6 }; /* r15 r14 r13 r12 rbx rbp, return address */

__asm__(".text\n"
        ".globl fiber_switch\n"
        ".hidden fiber_switch\n"
        ".type fiber_switch, @function\n"
        "fiber_switch:\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    movq (%rdi), %rax\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rax, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    ret\n"
        ".size fiber_switch, . - fiber_switch\n"
        ".globl fiber_enter\n"
        ".hidden fiber_enter\n"
        ".type fiber_enter, @function\n"
        "fiber_enter:\n"
        "    .cfi_startproc\n"
        "    .cfi_undefined rip\n" /* a walk up the stack ends here */
        "    movq %r12, %rdi\n"
        "    call fiber_main\n"
        "    ud2\n"
        "    .cfi_endproc\n"
        ".size fiber_enter, . - fiber_enter\n");

#elif defined(__aarch64__)

enum { SAVED_WORDS = 20, SAVED_FIBER = 0, SAVED_RETURN = 11 }; /* x19 to x30, d8 to d15 */

__asm__(".text\n"
        ".globl fiber_switch\n"
        ".hidden fiber_switch\n"
        ".type fiber_switch, %function\n"
        "fiber_switch:\n"
        "    sub sp, sp, #160\n"
        "    stp x19, x20, [sp, #0]\n"
        "    stp x21, x22, [sp, #16]\n"
        "    stp x23, x24, [sp, #32]\n"
        "    stp x25, x26, [sp, #48]\n"
        "    stp x27, x28, [sp, #64]\n"
        "    stp x29, x30, [sp, #80]\n"
        "    stp d8, d9, [sp, #96]\n"
        "    stp d10, d11, [sp, #112]\n"
        "    stp d12, d13, [sp, #128]\n"
        "    stp d14, d15, [sp, #144]\n"
        "    ldr x1, [x0]\n"
        "    mov x2, sp\n"
        "    str x2, [x0]\n"
        "    mov sp, x1\n"
        "    ldp x19, x20, [sp, #0]\n"
        "    ldp x21, x22, [sp, #16]\n"
        "    ldp x23, x24, [sp, #32]\n"
        "    ldp x25, x26, [sp, #48]\n"
        "    ldp x27, x28, [sp, #64]\n"
        "    ldp x29, x30, [sp, #80]\n"
        "    ldp d8, d9, [sp, #96]\n"
        "    ldp d10, d11, [sp, #112]\n"
        "    ldp d12, d13, [sp, #128]\n"
        "    ldp d14, d15, [sp, #144]\n"
        "    add sp, sp, #160\n"
        "    ret\n"
        ".size fiber_switch, . - fiber_switch\n"
        ".globl fiber_enter\n"
        ".hidden fiber_enter\n"
        ".type fiber_enter, %function\n"
        "fiber_enter:\n"
        "    .cfi_startproc\n"
        "    .cfi_undefined x30\n"
        "    mov x0, x19\n"
        "    bl fiber_main\n"
        "    brk #1\n"
        "    .cfi_endproc\n"
        ".size fiber_enter, . - fiber_enter\n");

#else
#error "fibers are written for x86-64 and AArch64"
#endif

/* The first registers that the fiber's first switch pops. The stack pointer is a multiple of 16 once they are popped, as
 * fiber_enter's call needs it. */
static void *first_registers(struct fiber *fiber)
{
    uint64_t *top = (uint64_t *)(fiber->mapping + fiber->guard_size + fiber->stack_size);
    uint64_t *registers = top - 2 - SAVED_WORDS;
    for (unsigned i = 0; i < SAVED_WORDS; i++)
        registers[i] = 0;
    registers[SAVED_FIBER] = (uint64_t)(uintptr_t)fiber;
    registers[SAVED_RETURN] = (uint64_t)(uintptr_t)fiber_enter;
    return registers;
}

/* ---- What sanitizers are told ------------------------------------------------------------------------- */

/* ThreadSanitizer keeps a list of the functions that have been entered, one for each fiber. Between telling it of a switch
 * and switching, nothing may be entered or left: these are inlined. */

ALWAYS_INLINE void into_fiber(struct fiber *fiber, void **ret_fake_stack)
{
#ifdef FIBER_ASAN
    __sanitizer_start_switch_fiber(ret_fake_stack, fiber->mapping + fiber->guard_size, fiber->stack_size);
#endif
#ifdef FIBER_TSAN
    fiber->tsan_resumer = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(fiber->tsan_fiber, 0);
#endif
}

ALWAYS_INLINE void back_from_fiber(void *fake_stack)
{
#ifdef FIBER_ASAN
    __sanitizer_finish_switch_fiber(fake_stack, NULL, NULL);
#endif
}

ALWAYS_INLINE void arrived_in_fiber(struct fiber *fiber, void *fake_stack)
{
#ifdef FIBER_ASAN
    __sanitizer_finish_switch_fiber(fake_stack, &fiber->resumer_stack, &fiber->resumer_stack_size);
#endif
}

/* `ret_fake_stack` NULL: the fiber's stack is not used again. */
ALWAYS_INLINE void out_of_fiber(struct fiber *fiber, void **ret_fake_stack)
{
#ifdef FIBER_ASAN
    __sanitizer_start_switch_fiber(ret_fake_stack, fiber->resumer_stack, fiber->resumer_stack_size);
#endif
#ifdef FIBER_TSAN
    __tsan_switch_to_fiber(fiber->tsan_resumer, 0);
#endif
}

/* ---- Life ----------------------------------------------------------------------------------------------- */

struct fiber *fiber_new(size_t stack_size)
{
    size_t guard_size = (size_t)sysconf(_SC_PAGESIZE);
    ASSERT(stack_size % guard_size == 0);
    struct fiber *fiber = mem_try_alloc(sizeof *fiber);
    if (fiber == NULL)
        return NULL;
    char *mapping = mmap(NULL, guard_size + stack_size, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (mapping == MAP_FAILED) {
        mem_free(fiber);
        return NULL;
    }
    *fiber = (struct fiber){.mapping = mapping, .guard_size = guard_size, .stack_size = stack_size};
    if (mprotect(mapping, guard_size, PROT_NONE) != 0) {
        fiber_free(fiber);
        return NULL;
    }
#ifdef FIBER_TSAN
    fiber->tsan_fiber = __tsan_create_fiber(0);
#endif
    return fiber;
}

void fiber_free(struct fiber *fiber)
{
    ASSERT(fiber->state == FIBER_IDLE);
#ifdef FIBER_TSAN
    if (fiber->tsan_fiber != NULL)
        __tsan_destroy_fiber(fiber->tsan_fiber);
#endif
    munmap(fiber->mapping, fiber->guard_size + fiber->stack_size);
    mem_free(fiber);
}

bool fiber_is_idle(const struct fiber *fiber)
{
    return fiber->state == FIBER_IDLE;
}

/* ---- Running -------------------------------------------------------------------------------------------- */

void fiber_start(struct fiber *fiber, void (*function)(void *context), void *context)
{
    ASSERT(fiber->state == FIBER_IDLE);
    fiber->function = function;
    fiber->context = context;
    fiber->stack_pointer = first_registers(fiber);
    fiber->state = FIBER_PAUSED;
}

void fiber_main(struct fiber *fiber)
{
    arrived_in_fiber(fiber, NULL);
    fiber->function(fiber->context);
    fiber->state = FIBER_IDLE;
    out_of_fiber(fiber, NULL);
    fiber_switch(&fiber->stack_pointer);
    BUG("a fiber that has ended was resumed");
}

bool fiber_resume(struct fiber *fiber)
{
    void *fake_stack = NULL;
    ASSERT(fiber->state == FIBER_PAUSED);
    fiber->state = FIBER_RUNNING;
    into_fiber(fiber, &fake_stack);
    fiber_switch(&fiber->stack_pointer);
    back_from_fiber(fake_stack);
    return fiber->state == FIBER_PAUSED;
}

void fiber_pause(struct fiber *fiber)
{
    void *fake_stack = NULL;
    ASSERT(fiber->state == FIBER_RUNNING);
    fiber->state = FIBER_PAUSED;
    out_of_fiber(fiber, &fake_stack);
    fiber_switch(&fiber->stack_pointer);
    arrived_in_fiber(fiber, fake_stack);
}
