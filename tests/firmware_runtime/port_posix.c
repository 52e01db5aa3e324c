/* SPDX-License-Identifier: Apache-2.0 */
/* The host as a microcontroller: the UART is file descriptor 0, read and written. Ends when it closes.

   TG_TEST_DEAF_BAUD: the line loses everything at any rate but TG_BAUD. TG_TEST_SLOW_MS: every counter read
   (two per inference) takes so long, but at boot. RESET executes the program again. */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "board.h"
#include "fake_model.h"
#include "fake_stack.h"
#include "tinyguard/port.h"

static uint8_t ring[4096];
static size_t head;
static size_t tail;
static uint32_t rate = TG_BAUD;

static bool deaf(void)
{
    return rate != TG_BAUD && getenv("TG_TEST_DEAF_BAUD") != NULL;
}

static void fill(int timeout_ms)
{
    struct pollfd line = {.fd = 0, .events = POLLIN};

    if (head != tail || poll(&line, 1, timeout_ms) <= 0) {
        return;
    }
    const ssize_t count = read(0, ring, sizeof(ring));
    if (count <= 0) {
        if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        _exit(0);
    }
    tail = 0;
    head = deaf() ? 0 : (size_t)count;
}

void tg_port_init(void)
{
}

size_t tg_port_read(uint8_t *bytes, size_t max)
{
    size_t count = 0;

    fill(0);
    while (count < max && tail < head) {
        bytes[count++] = ring[tail++];
    }
    return count;
}

void tg_port_write(const uint8_t *bytes, size_t count)
{
    while (count > 0 && !deaf()) {
        const ssize_t written = write(0, bytes, count);
        if (written > 0) {
            bytes += written;
            count -= (size_t)written;
        } else if (errno != EAGAIN && errno != EINTR) {
            _exit(0);
        }
    }
}

void tg_port_wait(void)
{
    fill(-1);
}

bool tg_port_set_baud(uint32_t baud)
{
    if (baud < 1200 || baud > 3000000) {
        return false;
    }
    rate = baud;
    return true;
}

uint32_t tg_port_clock_hz(void)
{
    return 1000000;
}

uint32_t tg_port_overruns(void)
{
    return 0;
}

/* A microsecond clock while a baud rate is on trial, else the work of the model: 2 ticks per unit. */
uint64_t tg_port_counter_read(void)
{
    static int boot_reads = 8; /* tg_inference_init's */
    const char *slow = getenv("TG_TEST_SLOW_MS");

    if (boot_reads > 0) {
        boot_reads--;
    } else if (slow != NULL) {
        usleep((useconds_t)atoi(slow) * 1000);
    }
    if (rate != TG_BAUD) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000U + (uint64_t)now.tv_nsec / 1000U;
    }
    return 2U * (uint64_t)fake_work;
}

tg_counter_calibration tg_port_calibration(void)
{
    return (tg_counter_calibration){.kind = TG_COUNTER_TICKS, .instructions = 500, .ticks = 1000};
}

/* Never the same twice. */
bool tg_port_random(uint32_t *word)
{
    static uint32_t drawn;

    *word = drawn += 0x9E3779B9u;
    return true;
}

void tg_port_reset(void)
{
    char *const arguments[] = {(char *)"runtime", NULL};

    execv("/proc/self/exe", arguments);
    _exit(1);
}
