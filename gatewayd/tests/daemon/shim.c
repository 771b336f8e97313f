/* Preloaded into the daemon: a disk that does not confirm and a wall clock that is wrong, as the files in $SHIM say.
 *
 *     $SHIM/sync     while it exists, fsync and fdatasync fail with EIO
 *     $SHIM/clock    a number of seconds, added to the wall clock
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static int at(const char *name, char *path, size_t size) {
    const char *folder = getenv("SHIM");
    return folder && snprintf(path, size, "%s/%s", folder, name) < (int)size;
}

static int failing(void) {
    char path[4096];
    return at("sync", path, sizeof path) && access(path, F_OK) == 0;
}

static int sync_by(const char *name, int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    if (failing()) {
        errno = EIO;
        return -1;
    }
    return real(fd);
}

int fsync(int fd) { return sync_by("fsync", fd); }

int fdatasync(int fd) { return sync_by("fdatasync", fd); }

int clock_gettime(clockid_t clock, struct timespec *time) {
    static int (*real)(clockid_t, struct timespec *);
    char path[4096], text[32] = "";
    int file, result;
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    result = real(clock, time);
    if (result || clock != CLOCK_REALTIME || !at("clock", path, sizeof path)) return result;
    file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return result;
    if (read(file, text, sizeof text - 1) > 0) time->tv_sec += atoll(text);
    close(file);
    return result;
}
