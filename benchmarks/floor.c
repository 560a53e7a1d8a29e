/* The least that any merge must do: read every input byte once, write the output once.
 *
 *   floor THREADS OUT OUT_BYTES DURABLE IN...      prints the seconds it took
 *
 * The output is written tile by tile; before each tile, its share of all input tiles is read into the same buffer.
 * Threads take output tiles in turn, so every thread alternates between reading and writing.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { TILE = 1 << 20, MOST_FILES = 4096 };

static int files, threads, out;
static int in[MOST_FILES];
static long tiles[MOST_FILES], reads, writes, size;

static void stop(const char *what) {
    perror(what);
    exit(1);
}

static void read_tile(char *buffer, long number) {
    int f = 0;
    while (number >= tiles[f]) number -= tiles[f++];
    if (pread(in[f], buffer, TILE, number * (off_t)TILE) < 0) stop("read");
}

static void *work(void *first) {
    char *buffer = malloc(TILE);
    if (!buffer) stop("memory");
    for (long w = (long)first; w < writes; w += threads) {
        for (long r = reads * w / writes; r < reads * (w + 1) / writes; r++) read_tile(buffer, r);
        long left = size - w * TILE, count = left < TILE ? left : TILE;
        if (pwrite(out, buffer, count, w * (off_t)TILE) != count) stop("write");
    }
    free(buffer);
    return NULL;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

int main(int argc, char **argv) {
    if (argc < 6 || argc - 5 > MOST_FILES) return 2;
    pthread_t handle[64];
    threads = atoi(argv[1]);
    if (threads < 1 || threads > 64) return 2;
    size = atol(argv[3]);
    writes = (size + TILE - 1) / TILE;
    files = argc - 5;
    double start = now();
    for (int f = 0; f < files; f++) {
        struct stat s;
        if ((in[f] = open(argv[5 + f], O_RDONLY)) < 0 || fstat(in[f], &s)) stop(argv[5 + f]);
        reads += tiles[f] = (s.st_size + TILE - 1) / TILE;
    }
    if ((out = open(argv[2], O_CREAT | O_TRUNC | O_WRONLY, 0644)) < 0) stop(argv[2]);
    for (long t = 0; t < threads; t++) pthread_create(&handle[t], NULL, work, (void *)t);
    for (int t = 0; t < threads; t++) pthread_join(handle[t], NULL);
    if (atoi(argv[4]) && fsync(out)) stop("fsync");
    close(out);
    printf("%.6f\n", now() - start);
    return 0;
}
