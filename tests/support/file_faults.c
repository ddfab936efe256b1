/* A disk that fails as the test says. Contract in file_faults.h. */
#include "file_faults.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"

struct file_faults_account {
    char *path;
    int descriptor; /* -1: closed */
    uint64_t size, synced;
    bool is_direct;
};

static struct file_faults *faults_of(const struct file_system *system)
{
    return system->context;
}

static struct file_faults_account *account_of_path(struct file_faults *faults, const char *path)
{
    for (unsigned i = 0; i < faults->account_count; i++)
        if (strcmp(faults->accounts[i].path, path) == 0)
            return &faults->accounts[i];
    return NULL;
}

/* NULL: it is only read. */
static struct file_faults_account *account_of(const struct file *file)
{
    struct file_faults *faults = faults_of(file->system);
    for (unsigned i = 0; i < faults->account_count; i++)
        if (faults->accounts[i].descriptor == file->descriptor)
            return &faults->accounts[i];
    return NULL;
}

static struct file_faults_account *make_account(struct file_faults *faults, const char *path)
{
    struct file_faults_account *account = account_of_path(faults, path);
    if (account)
        return account;
    if (faults->account_count == faults->account_capacity) {
        faults->account_capacity = faults->account_capacity * 2 + 8;
        faults->accounts = mem_realloc(faults->accounts, faults->account_capacity * sizeof *faults->accounts);
    }
    account = &faults->accounts[faults->account_count++];
    *account = (struct file_faults_account){.path = mem_strdup(path), .descriptor = -1};
    return account;
}

static void drop_account(struct file_faults *faults, const char *path)
{
    struct file_faults_account *account = account_of_path(faults, path);
    if (!account)
        return;
    mem_free(account->path);
    *account = faults->accounts[--faults->account_count];
}

static enum status fail(int error)
{
    errno = error;
    return ST_IO;
}

static const struct file_system *real(void)
{
    return file_system_real();
}

static enum status faulty_open(const struct file_system *system, const char *path, enum file_mode mode,
                               struct file *ret_file)
{
    struct file_faults *faults = faults_of(system);
    if (mode != FILE_READ && faults->open_error)
        return fail(faults->open_error);
    enum status status = real()->open(system, path, mode, ret_file);
    if (status != ST_OK || mode == FILE_READ)
        return status;
    bool is_known = account_of_path(faults, path) != NULL;
    struct file_faults_account *account = make_account(faults, path);
    account->descriptor = ret_file->descriptor;
    account->is_direct = false;
    real()->size(ret_file, &account->size);
    if (!is_known || account->synced > account->size)
        account->synced = account->size; /* what was there before has been there for long */
    return ST_OK;
}

/* How much of `size` may be written. 0: nothing, errno says why. */
static size_t allowance(struct file_faults *faults, size_t size)
{
    faults->writes++;
    if (faults->write_error) {
        errno = faults->write_error;
        return 0;
    }
    if (size > faults->write_max)
        size = faults->write_max;
    if (size > faults->room)
        size = (size_t)faults->room;
    if (size == 0)
        errno = ENOSPC;
    return size;
}

static enum status faulty_pwrite(struct file *file, const void *bytes, size_t size, uint64_t offset,
                                 size_t *ret_written)
{
    struct file_faults *faults = faults_of(file->system);
    size = allowance(faults, size);
    if (size == 0)
        return ST_IO;
    enum status status = real()->pwrite(file, bytes, size, offset, ret_written);
    if (status == ST_OK) {
        struct file_faults_account *account = account_of(file);
        faults->room -= *ret_written;
        if (account != NULL && offset + *ret_written > account->size) /* NULL: it has no name any more */
            account->size = offset + *ret_written;
    }
    return status;
}

static bool is_aligned(const struct file_faults *faults, const struct file_faults_account *account,
                       const struct iovec *piece)
{
    return (((uintptr_t)piece->iov_base | piece->iov_len | account->size) & (faults->direct_alignment - 1)) ==
           0;
}

/* Piece by piece: the pieces are a test's, not many. */
static enum status faulty_write(struct file *file, const struct iovec *pieces, unsigned count,
                                size_t *ret_written)
{
    struct file_faults *faults = faults_of(file->system);
    while (count > 0 && pieces->iov_len == 0) {
        pieces++;
        count--;
    }
    struct file_faults_account *account = account_of(file);
    if (account->is_direct && (faults->refuses_direct_writes || !is_aligned(faults, account, pieces)))
        return fail(EINVAL);
    struct iovec piece = {pieces->iov_base, allowance(faults, pieces->iov_len)};
    if (piece.iov_len == 0)
        return ST_IO;
    enum status status = real()->write(file, &piece, 1, ret_written);
    if (status == ST_OK) {
        faults->room -= *ret_written;
        faults->direct_writes += account->is_direct;
        account->size += *ret_written;
    }
    return status;
}

static enum status faulty_read(struct file *file, void *bytes, size_t size, size_t *ret_read)
{
    return real()->read(file, bytes, size, ret_read);
}

static enum status faulty_pread(struct file *file, void *bytes, size_t size, uint64_t offset,
                                size_t *ret_read)
{
    return real()->pread(file, bytes, size, offset, ret_read);
}

static enum status faulty_sync(struct file *file)
{
    struct file_faults *faults = faults_of(file->system);
    faults->syncs++;
    if (faults->sync_error)
        return fail(faults->sync_error);
    struct file_faults_account *account = account_of(file);
    account->synced = account->size; /* accounted for; the machine's disk need not be troubled */
    return ST_OK;
}

static enum status faulty_set_direct(struct file *file, bool on, size_t *ret_alignment)
{
    struct file_faults *faults = faults_of(file->system);
    if (on && faults->direct_alignment == 0)
        return fail(EINVAL);
    account_of(file)->is_direct = on;
    *ret_alignment = faults->direct_alignment;
    return ST_OK;
}

static enum status faulty_truncate(struct file *file, uint64_t size)
{
    enum status status = real()->truncate(file, size);
    struct file_faults_account *account = account_of(file);
    if (status == ST_OK) {
        account->size = size;
        account->synced = account->synced < size ? account->synced : size;
    }
    return status;
}

static enum status faulty_size(struct file *file, uint64_t *ret_size)
{
    return real()->size(file, ret_size);
}

static void faulty_close(struct file *file)
{
    struct file_faults_account *account = account_of(file);
    if (account)
        account->descriptor = -1;
    real()->close(file);
}

static enum status faulty_rename(const struct file_system *system, const char *from, const char *to)
{
    struct file_faults *faults = faults_of(system);
    if (faults->rename_error)
        return fail(faults->rename_error);
    enum status status = real()->rename(system, from, to);
    if (status != ST_OK)
        return status;
    drop_account(faults, to);
    struct file_faults_account *account = account_of_path(faults, from);
    if (account) {
        mem_free(account->path);
        account->path = mem_strdup(to);
    }
    return ST_OK;
}

static enum status faulty_unlink(const struct file_system *system, const char *path)
{
    enum status status = real()->unlink(system, path);
    if (status == ST_OK)
        drop_account(faults_of(system), path);
    return status;
}

static enum status faulty_make_directory(const struct file_system *system, const char *path)
{
    return real()->make_directory(system, path);
}

static enum status faulty_sync_directory(const struct file_system *system, const char *path)
{
    struct file_faults *faults = faults_of(system);
    return faults->sync_error ? fail(faults->sync_error) : ST_OK;
}

static enum status faulty_list(const struct file_system *system, const char *path, file_name_fn *each,
                               void *context)
{
    return real()->list(system, path, each, context);
}

void file_faults_init(struct file_faults *faults)
{
    *faults = (struct file_faults){
        .system =
            {
                .context = faults,
                .open = faulty_open,
                .write = faulty_write,
                .pwrite = faulty_pwrite,
                .read = faulty_read,
                .pread = faulty_pread,
                .sync = faulty_sync,
                .set_direct = faulty_set_direct,
                .truncate = faulty_truncate,
                .size = faulty_size,
                .close = faulty_close,
                .rename = faulty_rename,
                .unlink = faulty_unlink,
                .make_directory = faulty_make_directory,
                .sync_directory = faulty_sync_directory,
                .list = faulty_list,
            },
        .room = UINT64_MAX,
        .write_max = SIZE_MAX,
    };
}

void file_faults_done(struct file_faults *faults)
{
    for (unsigned i = 0; i < faults->account_count; i++)
        mem_free(faults->accounts[i].path);
    mem_free(faults->accounts);
}

static void lose_tail(struct file_faults_account *account, struct rng *rng, bool garbage)
{
    uint64_t kept = account->synced + rng_below(rng, account->size - account->synced + 1);
    if (truncate(account->path, (off_t)kept) < 0)
        abort();
    if (garbage && kept < account->size && rng_below(rng, 2)) {
        struct file file;
        char noise[16];
        for (size_t i = 0; i < sizeof noise; i++)
            noise[i] = (char)rng_next(rng);
        if (file_open(real(), account->path, FILE_APPEND, &file) != ST_OK ||
            file_write_all(&file, noise, 1 + rng_below(rng, sizeof noise)) != ST_OK)
            abort();
        file_close(&file);
    }
}

void file_faults_crash(struct file_faults *faults, struct rng *rng, bool garbage)
{
    for (unsigned i = 0; i < faults->account_count; i++) {
        struct file_faults_account *account = &faults->accounts[i];
        if (account->descriptor >= 0)
            close(account->descriptor);
        account->descriptor = -1;
        if (account->synced < account->size)
            lose_tail(account, rng, garbage);
    }
}
