/* The disk in memory. See disk.h. */
#include "disk.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "base/macros.h"

struct sim_inode {
    struct buf bytes;
    size_t synced; /* of them */
    unsigned refs; /* names and handles */
};

struct sim_name {
    char *path;
    struct sim_inode *inode; /* NULL: a directory */
};

struct sim_handle {
    struct sim_inode *inode; /* NULL: free */
    size_t offset;
    bool appends;
};

static struct sim_disk *disk_of(const struct file_system *system)
{
    return container_of((struct file_system *)system, struct sim_disk, system);
}

static struct sim_handle *handle_of(const struct file *file)
{
    const struct sim_disk *disk = disk_of(file->system);
    ASSERT((unsigned)file->descriptor < disk->handle_count && disk->handles[file->descriptor].inode);
    return &disk->handles[file->descriptor];
}

static void inode_unref(struct sim_inode *inode)
{
    if (--inode->refs > 0)
        return;
    buf_done(&inode->bytes);
    mem_free(inode);
}

/* ---- Names ---------------------------------------------------------------------------------------- */

static struct sim_name *find(const struct sim_disk *disk, const char *path)
{
    for (unsigned i = 0; i < disk->name_count; i++)
        if (strcmp(disk->names[i].path, path) == 0)
            return &disk->names[i];
    return NULL;
}

static enum status fail(int error, enum status status)
{
    errno = error;
    return status;
}

static struct sim_name *add_name(struct sim_disk *disk, const char *path, struct sim_inode *inode)
{
    if (disk->name_count >= disk->name_capacity) {
        disk->name_capacity = 2 * disk->name_count + 16;
        disk->names = mem_realloc(disk->names, disk->name_capacity * sizeof *disk->names);
    }
    struct sim_name *name = &disk->names[disk->name_count++];
    *name = (struct sim_name){mem_strdup(path), inode};
    if (inode)
        inode->refs++;
    return name;
}

/* Whether an operation that changes something has its effect; the last one may. */
static bool has_effect(struct sim_disk *disk)
{
    if (disk->frozen)
        return false;
    if (disk->operations_left == 0 || --disk->operations_left > 0)
        return true;
    disk->frozen = true;
    return disk->rng && rng_below(disk->rng, 2);
}

static void remove_name(struct sim_disk *disk, struct sim_name *name)
{
    if (name->inode)
        inode_unref(name->inode);
    mem_free(name->path);
    *name = disk->names[--disk->name_count];
}

static enum status disk_rename(const struct file_system *system, const char *from, const char *to)
{
    struct sim_disk *disk = disk_of(system);
    struct sim_name *name = find(disk, from);
    if (name == NULL && !disk->frozen)
        return fail(ENOENT, ST_NOT_FOUND);
    if (!has_effect(disk))
        return ST_OK;
    struct sim_inode *inode = name->inode;
    inode->refs++;
    remove_name(disk, name);
    name = find(disk, to);
    if (name)
        remove_name(disk, name);
    add_name(disk, to, inode);
    inode_unref(inode);
    return ST_OK;
}

static enum status disk_unlink(const struct file_system *system, const char *path)
{
    struct sim_disk *disk = disk_of(system);
    struct sim_name *name = find(disk, path);
    if (name == NULL && !disk->frozen)
        return fail(ENOENT, ST_NOT_FOUND);
    if (has_effect(disk))
        remove_name(disk, name);
    return ST_OK;
}

static enum status disk_make_directory(const struct file_system *system, const char *path)
{
    struct sim_disk *disk = disk_of(system);
    if (find(disk, path))
        return fail(EEXIST, ST_EXISTS);
    if (has_effect(disk))
        add_name(disk, path, NULL);
    return ST_OK;
}

/* Whether the name stands in this directory: "" is the one where the server runs. */
static bool is_in(const char *name, const char *directory)
{
    const char *slash = strrchr(name, '/');
    size_t size = slash ? (size_t)(slash - name) : 0;
    return size == strlen(directory) && strncmp(name, directory, size) == 0;
}

static const char *normal(const char *directory)
{
    return strcmp(directory, ".") == 0 ? "" : directory;
}

/* Has the names of a directory in `to`, of `*count` names, become those in `from`. */
static void copy_names(struct sim_name **to, unsigned *count, const struct sim_name *from,
                       unsigned from_count, const char *directory)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < *count; i++) {
        struct sim_name name = (*to)[i];
        if (!is_in(name.path, directory)) {
            (*to)[kept++] = name;
            continue;
        }
        if (name.inode)
            inode_unref(name.inode);
        mem_free(name.path);
    }
    *to = mem_realloc(*to, (kept + from_count + 1) * sizeof **to);
    for (unsigned i = 0; i < from_count; i++)
        if (is_in(from[i].path, directory)) {
            (*to)[kept++] = (struct sim_name){mem_strdup(from[i].path), from[i].inode};
            if (from[i].inode)
                from[i].inode->refs++;
        }
    *count = kept;
}

static enum status disk_sync_directory(const struct file_system *system, const char *path)
{
    struct sim_disk *disk = disk_of(system);
    if (has_effect(disk))
        copy_names(&disk->synced_names, &disk->synced_count, disk->names, disk->name_count, normal(path));
    return ST_OK;
}

static enum status disk_list(const struct file_system *system, const char *path, file_name_fn *each,
                             void *context)
{
    const struct sim_disk *disk = disk_of(system);
    size_t size = strcmp(path, ".") == 0 ? 0 : strlen(path);
    if (size > 0 && find(disk, path) == NULL)
        return fail(ENOENT, ST_NOT_FOUND);
    for (unsigned i = 0; i < disk->name_count; i++) {
        const char *name = disk->names[i].path;
        if (size > 0 && (strncmp(name, path, size) != 0 || name[size] != '/'))
            continue;
        name += size ? size + 1 : 0;
        if (strchr(name, '/') == NULL)
            each(context, name);
    }
    return ST_OK;
}

/* ---- Files ---------------------------------------------------------------------------------------- */

static int take_handle(struct sim_disk *disk, struct sim_inode *inode, bool appends)
{
    unsigned at = 0;
    while (at < disk->handle_count && disk->handles[at].inode)
        at++;
    if (at == disk->handle_count)
        disk->handles = mem_realloc(disk->handles, ++disk->handle_count * sizeof *disk->handles);
    disk->handles[at] = (struct sim_handle){.inode = inode, .appends = appends};
    inode->refs++;
    return (int)at;
}

static enum status disk_open(const struct file_system *system, const char *path, enum file_mode mode,
                             struct file *ret_file)
{
    struct sim_disk *disk = disk_of(system);
    struct sim_name *name = find(disk, path);
    bool makes = mode == FILE_CREATE || mode == FILE_CREATE_NEW || mode == FILE_APPEND;
    if (name == NULL && !makes)
        return fail(ENOENT, ST_NOT_FOUND);
    if (name && name->inode == NULL)
        return fail(EISDIR, ST_IO);
    if (name && mode == FILE_CREATE_NEW)
        return fail(EEXIST, ST_EXISTS);
    bool changes = (makes && name == NULL) || mode == FILE_CREATE;
    bool is_real = changes ? has_effect(disk) : !disk->frozen;
    struct sim_inode *inode = name && is_real ? name->inode : NULL;
    if (inode == NULL) /* a frozen disk gives files that nobody will find again */
        inode = mem_calloc(1, sizeof *inode);
    if (name == NULL && is_real)
        add_name(disk, path, inode);
    if (mode == FILE_CREATE) {
        buf_clear(&inode->bytes);
        inode->synced = 0;
    }
    *ret_file = (struct file){system, take_handle(disk, inode, mode == FILE_APPEND)};
    return ST_OK;
}

/* Bytes beyond the end become zeros. */
static void put(struct sim_inode *inode, size_t at, const void *bytes, size_t size)
{
    static const char zeros[256];
    struct buf *all = &inode->bytes;
    while (all->size < at)
        buf_append(all, zeros, at - all->size < sizeof zeros ? at - all->size : sizeof zeros);
    size_t over = all->size - at < size ? all->size - at : size;
    if (over > 0)
        memcpy(all->data + at, bytes, over);
    if (at < inode->synced)
        inode->synced = at;
    buf_append(all, (const char *)bytes + over, size - over);
}

static enum status disk_write(struct file *file, const struct iovec *pieces, unsigned count,
                              size_t *ret_written)
{
    struct sim_handle *handle = handle_of(file);
    struct sim_disk *disk = disk_of(file->system);
    bool was_frozen = disk->frozen;
    size_t size = 0;
    for (unsigned i = 0; i < count; i++)
        size += pieces[i].iov_len;
    *ret_written = size;
    bool is_whole = has_effect(disk);
    if (disk->write_error && !disk->frozen && rng_below(disk->rng, 2))
        return fail(disk->write_error, ST_IO);
    if (disk->frozen && !is_whole) /* the last one has a part of its effect, those behind it none */
        size = was_frozen || disk->rng == NULL ? 0 : (size_t)rng_below(disk->rng, size + 1);
    else if (disk->write_error && size > 1)
        size = *ret_written = 1 + (size_t)rng_below(disk->rng, size - 1);
    for (unsigned i = 0; i < count && size > 0; i++) {
        size_t some = pieces[i].iov_len < size ? pieces[i].iov_len : size;
        if (handle->appends)
            handle->offset = handle->inode->bytes.size;
        put(handle->inode, handle->offset, pieces[i].iov_base, some);
        handle->offset += some;
        size -= some;
    }
    return ST_OK;
}

static enum status disk_pwrite(struct file *file, const void *bytes, size_t size, uint64_t offset,
                               size_t *ret_written)
{
    if (has_effect(disk_of(file->system)))
        put(handle_of(file)->inode, offset, bytes, size);
    *ret_written = size;
    return ST_OK;
}

static enum status disk_pread(struct file *file, void *bytes, size_t size, uint64_t offset, size_t *ret_read)
{
    const struct buf *all = &handle_of(file)->inode->bytes;
    size_t left = offset < all->size ? all->size - (size_t)offset : 0;
    *ret_read = size < left ? size : left;
    if (*ret_read > 0)
        memcpy(bytes, all->data + offset, *ret_read);
    return ST_OK;
}

static enum status disk_read(struct file *file, void *bytes, size_t size, size_t *ret_read)
{
    struct sim_handle *handle = handle_of(file);
    enum status status = disk_pread(file, bytes, size, handle->offset, ret_read);
    handle->offset += *ret_read;
    return status;
}

static enum status disk_sync(struct file *file)
{
    struct sim_inode *inode = handle_of(file)->inode;
    struct sim_disk *disk = disk_of(file->system);
    if (disk->sync_error && !disk->frozen)
        return fail(disk->sync_error, ST_IO);
    if (has_effect(disk))
        inode->synced = inode->bytes.size;
    disk->syncs++;
    return ST_OK;
}

static enum status disk_truncate(struct file *file, uint64_t size)
{
    struct sim_inode *inode = handle_of(file)->inode;
    if (!has_effect(disk_of(file->system)))
        return ST_OK;
    if (size > inode->bytes.size)
        put(inode, (size_t)size, "", 0);
    inode->bytes.size = (size_t)size;
    inode->synced = inode->synced < size ? inode->synced : (size_t)size;
    return ST_OK;
}

static enum status disk_size(struct file *file, uint64_t *ret_size)
{
    *ret_size = handle_of(file)->inode->bytes.size;
    return ST_OK;
}

static void disk_close(struct file *file)
{
    struct sim_handle *handle = handle_of(file);
    inode_unref(handle->inode);
    handle->inode = NULL;
}

/* ---- Life ----------------------------------------------------------------------------------------- */

void sim_disk_init(struct sim_disk *disk)
{
    *disk = (struct sim_disk){.system = {
                                  .open = disk_open,
                                  .write = disk_write,
                                  .pwrite = disk_pwrite,
                                  .read = disk_read,
                                  .pread = disk_pread,
                                  .sync = disk_sync,
                                  .truncate = disk_truncate,
                                  .size = disk_size,
                                  .close = disk_close,
                                  .rename = disk_rename,
                                  .unlink = disk_unlink,
                                  .make_directory = disk_make_directory,
                                  .sync_directory = disk_sync_directory,
                                  .list = disk_list,
                              }};
}

void sim_disk_freeze(struct sim_disk *disk)
{
    disk->frozen = true;
}

static void check_closed(const struct sim_disk *disk)
{
    for (unsigned i = 0; i < disk->handle_count; i++)
        ASSERT(disk->handles[i].inode == NULL);
}

void sim_disk_thaw(struct sim_disk *disk)
{
    check_closed(disk);
    disk->frozen = false;
}

void sim_disk_lose_power(struct sim_disk *disk, struct rng *rng)
{
    static const char *const directories[] = {"", "appendonlydir"};
    for (size_t i = 0; i < ARRAY_COUNT(directories); i++)
        if (rng_below(rng, 2)) {
            copy_names(&disk->names, &disk->name_count, disk->synced_names, disk->synced_count,
                       directories[i]);
            disk->name_capacity = 0; /* it has been allocated anew */
        } else {                     /* what is there after that is there to stay */
            copy_names(&disk->synced_names, &disk->synced_count, disk->names, disk->name_count,
                       directories[i]);
        }
    for (unsigned i = 0; i < disk->name_count; i++) {
        struct sim_inode *inode = disk->names[i].inode;
        if (inode && inode->synced < inode->bytes.size)
            inode->bytes.size = inode->synced + (size_t)rng_below(rng, inode->bytes.size - inode->synced + 1);
        if (inode)
            inode->synced = inode->bytes.size;
    }
}

void sim_disk_done(struct sim_disk *disk)
{
    check_closed(disk);
    while (disk->name_count > 0)
        remove_name(disk, &disk->names[disk->name_count - 1]);
    copy_names(&disk->synced_names, &disk->synced_count, NULL, 0, "");
    copy_names(&disk->synced_names, &disk->synced_count, NULL, 0, "appendonlydir");
    mem_free(disk->synced_names);
    mem_free(disk->names);
    mem_free(disk->handles);
}
