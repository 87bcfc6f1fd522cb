/* A file system that fails at the N-th change below one folder: preloaded into a process under test.

   Every write, sync, rename, link, removal, truncation and creation of a file below the folder is one point. At the
   armed one, by `kind`:

       1 kill     the process dies by SIGKILL before the call is made
       2 enospc   the call fails: no space is left (a write of more than one byte writes half first)
       3 eio      the call fails: the device is broken
       4 short    a write writes one byte of what it was given; any other call goes through
       5 power    the process dies, and what was not synced is lost: bytes after the last fsync of a file, and names
                  whose folder was not synced since (a rename is undone, the file that it replaced comes back)

   From the armed point on, kinds 2 and 3 fail every call if `lasting` is set: a full disk stays full.
   Apart from that, the clock of the wall jumps where `faults_clock` says; what only measures time does not.
   LevelDB's fault injection does the same for names and bytes (db/fault_injection_test.cc), SQLite's for errors. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { NONE, KILL, ENOSPACE, BROKEN, SHORT, POWER };
enum { MOST = 4096 };

static char below[PATH_MAX];
static long point, armed_at;
static int armed_kind, is_lasting;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static __thread int inside;

static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_writev)(int, const struct iovec *, int);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_rename)(const char *, const char *);
static int (*real_renameat)(int, const char *, int, const char *);
static int (*real_renameat2)(int, const char *, int, const char *, unsigned);
static int (*real_link)(const char *, const char *);
static int (*real_linkat)(int, const char *, int, const char *, int);
static int (*real_unlink)(const char *);
static int (*real_unlinkat)(int, const char *, int);
static int (*real_ftruncate)(int, off_t);
static int (*real_open)(const char *, int, ...);
static int (*real_openat)(int, const char *, int, ...);

/* What a power cut would lose: bytes of files that were written since their last sync ... */
static struct { ino_t inode; char path[PATH_MAX]; off_t synced; } dirty[MOST];
/* ... and changes of names since the last sync of their folder, in order. `spare` holds what a rename replaced. */
static struct { char kind; char from[PATH_MAX], to[PATH_MAX], spare[PATH_MAX]; } names[MOST];
static int num_dirty, num_names, num_spares;

__attribute__((constructor)) static void begin(void) {
#define REAL(name) *(void **)&real_##name = dlsym(RTLD_NEXT, #name)
    REAL(write); REAL(pwrite); REAL(writev); REAL(fsync); REAL(fdatasync); REAL(rename); REAL(renameat);
    REAL(renameat2); REAL(link); REAL(linkat); REAL(unlink); REAL(unlinkat); REAL(ftruncate); REAL(open); REAL(openat);
}

/* Called by the process under test, through ctypes: count below `folder` from now on, and fail at point `at`. */
void faults_arm(const char *folder, long at, int kind, int lasting) {
    snprintf(below, sizeof below, "%s/", folder);
    point = 0; armed_at = at; armed_kind = kind; is_lasting = lasting;
    num_dirty = num_names = num_spares = 0;
}

long faults_seen(void) { return point; }

/* Called through ctypes too: from the `at`-th read of the wall's clock on it is so many seconds ahead, or behind; back
   and to again every so many reads, if `every` is not 0. */
static long clock_reads, clock_at, clock_jump, clock_every;
static int (*real_clock_gettime)(clockid_t, struct timespec *);

void faults_clock(long at, long seconds, long every) {
    clock_reads = 0; clock_at = at; clock_jump = seconds; clock_every = every;
}

long faults_clock_reads(void) { return clock_reads; }

int clock_gettime(clockid_t id, struct timespec *now) {
    if (!real_clock_gettime) *(void **)&real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    int done = real_clock_gettime(id, now);
    if (done || id != CLOCK_REALTIME || !clock_at) return done;
    long number = __sync_add_and_fetch(&clock_reads, 1) - clock_at;
    if (number >= 0 && !(clock_every && (number / clock_every) % 2)) now->tv_sec += clock_jump;
    return done;
}
int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec found;
    if (zone) memset(zone, 0, sizeof(struct timezone));
    if (clock_gettime(CLOCK_REALTIME, &found)) return -1;
    now->tv_sec = found.tv_sec; now->tv_usec = found.tv_nsec / 1000;
    return 0;
}
time_t time(time_t *now) {
    struct timespec found;
    if (clock_gettime(CLOCK_REALTIME, &found)) return -1;
    if (now) *now = found.tv_sec;
    return found.tv_sec;
}

static int is_below(const char *path) { return below[0] && strncmp(path, below, strlen(below)) == 0; }

static int place_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, PATH_MAX - 1);
    if (size < 0) return 0;
    path[size] = 0;
    return 1;
}

static void absolute(int at, const char *name, char *path) {
    char folder[PATH_MAX] = "";
    if (name[0] == '/') { snprintf(path, PATH_MAX, "%s", name); return; }
    if (at == AT_FDCWD) { if (!getcwd(folder, sizeof folder)) folder[0] = 0; }
    else if (!place_of(at, folder)) folder[0] = 0;
    size_t size = strlen(folder);
    if (size + 1 + strlen(name) >= PATH_MAX) { path[0] = 0; return; }
    memcpy(path, folder, size); path[size] = '/'; strcpy(path + size + 1, name);
}

static void folder_of(const char *path, char *folder) {
    snprintf(folder, PATH_MAX, "%s", path);
    char *end = strrchr(folder, '/');
    if (end) *end = 0;
}

static void power_cut(void) {
    for (int index = num_names - 1; index >= 0; index--) {
        if (names[index].kind == 'c') real_unlink(names[index].to);
        if (names[index].kind == 'r') {
            real_rename(names[index].to, names[index].from);
            for (int file = 0; file < num_dirty; file++)
                if (!strcmp(dirty[file].path, names[index].to)) strcpy(dirty[file].path, names[index].from);
        }
        if (names[index].spare[0]) real_rename(names[index].spare, names[index].to);
    }
    for (int index = 0; index < num_dirty; index++) {
        struct stat found;
        if (!stat(dirty[index].path, &found) && found.st_ino == dirty[index].inode && truncate(dirty[index].path, dirty[index].synced)) {}
    }
}

/* Count one point; return what fails here. */
static int here(const char *path) {
    if (inside || !is_below(path)) return NONE;
    inside = 1;
    pthread_mutex_lock(&lock);
    long number = ++point;
    int kind = number == armed_at || (is_lasting && armed_at && number > armed_at) ? armed_kind : NONE;
    if (kind == POWER) power_cut();
    if (kind == KILL || kind == POWER) { kill(getpid(), SIGKILL); for (;;) pause(); }
    pthread_mutex_unlock(&lock);
    inside = 0;
    return kind;
}

static int fails(int kind) {
    if (kind == ENOSPACE) { errno = ENOSPC; return 1; }
    if (kind == BROKEN) { errno = EIO; return 1; }
    return 0;
}

static void spare_of(const char *path, char *spare) {
    struct stat found;
    spare[0] = 0;
    if (stat(path, &found) || num_names >= MOST) return;
    snprintf(spare, PATH_MAX, "%.4000s.spare%d", path, num_spares++);
    if (real_link(path, spare)) spare[0] = 0;
}

static void named(char kind, const char *from, const char *to, const char *spare) {
    if (armed_kind != POWER || num_names >= MOST) return;
    names[num_names].kind = kind;
    strcpy(names[num_names].from, from); strcpy(names[num_names].to, to); strcpy(names[num_names].spare, spare);
    num_names++;
    for (int index = 0; kind == 'r' && index < num_dirty; index++)
        if (!strcmp(dirty[index].path, from)) strcpy(dirty[index].path, to);
}

static void written(int fd, const char *path) {
    struct stat found;
    if (armed_kind != POWER || fstat(fd, &found) || !S_ISREG(found.st_mode)) return;
    for (int index = 0; index < num_dirty; index++)
        if (dirty[index].inode == found.st_ino) return;
    if (num_dirty >= MOST) return;
    dirty[num_dirty].inode = found.st_ino; dirty[num_dirty].synced = 0;
    strcpy(dirty[num_dirty].path, path);
    num_dirty++;
}

static void synced(int fd, const char *path) {
    struct stat found;
    if (armed_kind != POWER || fstat(fd, &found)) return;
    if (S_ISREG(found.st_mode))
        for (int index = 0; index < num_dirty; index++)
            if (dirty[index].inode == found.st_ino) dirty[index].synced = found.st_size;
    if (!S_ISDIR(found.st_mode)) return;
    int left = 0;
    for (int index = 0; index < num_names; index++) {
        char folder[PATH_MAX];
        folder_of(names[index].to, folder);
        if (strcmp(folder, path)) { names[left++] = names[index]; continue; }
        if (names[index].spare[0]) { inside = 1; real_unlink(names[index].spare); inside = 0; }
    }
    num_names = left;
}

ssize_t write(int fd, const void *bytes, size_t size) {
    char path[PATH_MAX];
    if (!below[0] || !place_of(fd, path) || !is_below(path)) return real_write(fd, bytes, size);
    int kind = here(path);
    if (kind == SHORT && size > 1) size = 1;
    if (kind == ENOSPACE && size > 1 && !is_lasting) { if (real_write(fd, bytes, size / 2) < 0) {} }
    if (fails(kind)) return -1;
    ssize_t done = real_write(fd, bytes, size);
    written(fd, path);
    return done;
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset) {
    char path[PATH_MAX];
    if (!below[0] || !place_of(fd, path) || !is_below(path)) return real_pwrite(fd, bytes, size, offset);
    int kind = here(path);
    if (kind == SHORT && size > 1) size = 1;
    if (fails(kind)) return -1;
    ssize_t done = real_pwrite(fd, bytes, size, offset);
    written(fd, path);
    return done;
}
ssize_t pwrite64(int fd, const void *bytes, size_t size, off_t offset) { return pwrite(fd, bytes, size, offset); }

ssize_t writev(int fd, const struct iovec *pieces, int count) {
    char path[PATH_MAX];
    if (!below[0] || !place_of(fd, path) || !is_below(path)) return real_writev(fd, pieces, count);
    if (fails(here(path))) return -1;
    ssize_t done = real_writev(fd, pieces, count);
    written(fd, path);
    return done;
}

static int sync_at(int fd, int (*real)(int)) {
    char path[PATH_MAX];
    if (!below[0] || !place_of(fd, path)) return real(fd);
    char within[PATH_MAX + 1];
    snprintf(within, sizeof within, "%s/", path);
    if (!is_below(path) && !is_below(within)) return real(fd);
    if (fails(here(is_below(path) ? path : within))) return -1;
    int done = real(fd);
    if (!done) synced(fd, path);
    return done;
}
int fsync(int fd) { return sync_at(fd, real_fsync); }
int fdatasync(int fd) { return sync_at(fd, real_fdatasync); }

static int rename_at(const char *from, const char *to) {
    char spare[PATH_MAX] = "";
    if (!is_below(to)) return real_rename(from, to);
    if (fails(here(to))) return -1;
    if (armed_kind == POWER) { inside = 1; spare_of(to, spare); inside = 0; }
    int done = real_rename(from, to);
    if (!done) named('r', from, to, spare);
    else if (spare[0]) real_unlink(spare);
    return done;
}
int rename(const char *from, const char *to) {
    char one[PATH_MAX], other[PATH_MAX];
    if (!below[0] || inside) return real_rename(from, to);
    absolute(AT_FDCWD, from, one); absolute(AT_FDCWD, to, other);
    return rename_at(one, other);
}
int renameat(int at, const char *from, int at_to, const char *to) {
    char one[PATH_MAX], other[PATH_MAX];
    if (!below[0] || inside) return real_renameat(at, from, at_to, to);
    absolute(at, from, one); absolute(at_to, to, other);
    return rename_at(one, other);
}
int renameat2(int at, const char *from, int at_to, const char *to, unsigned flags) {
    return flags ? real_renameat2(at, from, at_to, to, flags) : renameat(at, from, at_to, to);
}

static int link_at(const char *from, const char *to) {
    if (is_below(to) && fails(here(to))) return -1;
    int done = real_link(from, to);
    if (!done && is_below(to)) named('c', from, to, "");
    return done;
}
int link(const char *from, const char *to) {
    char one[PATH_MAX], other[PATH_MAX];
    if (!below[0] || inside) return real_link(from, to);
    absolute(AT_FDCWD, from, one); absolute(AT_FDCWD, to, other);
    return link_at(one, other);
}
int linkat(int at, const char *from, int at_to, const char *to, int flags) {
    char one[PATH_MAX], other[PATH_MAX];
    if (!below[0] || inside || flags) return real_linkat(at, from, at_to, to, flags);
    absolute(at, from, one); absolute(at_to, to, other);
    return link_at(one, other);
}

int unlink(const char *name) {
    char path[PATH_MAX];
    if (!below[0] || inside) return real_unlink(name);
    absolute(AT_FDCWD, name, path);
    if (fails(here(path))) return -1;
    return real_unlink(name);
}
int unlinkat(int at, const char *name, int flags) {
    char path[PATH_MAX];
    if (!below[0] || inside) return real_unlinkat(at, name, flags);
    absolute(at, name, path);
    if (fails(here(path))) return -1;
    return real_unlinkat(at, name, flags);
}

int ftruncate(int fd, off_t size) {
    char path[PATH_MAX];
    if (!below[0] || !place_of(fd, path) || !is_below(path)) return real_ftruncate(fd, size);
    if (fails(here(path))) return -1;
    int done = real_ftruncate(fd, size);
    written(fd, path);
    return done;
}
int ftruncate64(int fd, off_t size) { return ftruncate(fd, size); }

static int open_at(int at, const char *name, int flags, mode_t mode) {
    char path[PATH_MAX];
    struct stat found;
    if (!below[0] || inside || !(flags & O_CREAT)) return real_openat(at, name, flags, mode);
    absolute(at, name, path);
    if (!is_below(path)) return real_openat(at, name, flags, mode);
    int is_new = stat(path, &found) != 0;
    if (fails(here(path))) return -1;
    int fd = real_openat(at, name, flags, mode);
    if (fd >= 0 && is_new) named('c', "", path, "");
    return fd;
}
#define MODE(flags) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | __O_TMPFILE)) { va_list more; va_start(more, flags); mode = va_arg(more, mode_t); va_end(more); }
int open(const char *name, int flags, ...) { MODE(flags) return open_at(AT_FDCWD, name, flags, mode); }
int open64(const char *name, int flags, ...) { MODE(flags) return open_at(AT_FDCWD, name, flags, mode); }
int openat(int at, const char *name, int flags, ...) { MODE(flags) return open_at(at, name, flags, mode); }
int openat64(int at, const char *name, int flags, ...) { MODE(flags) return open_at(at, name, flags, mode); }
