/* A Modbus slave on libmodbus: the second implementation beside pymodbus.
 *
 *     libmodbus_slave tcp PORT UNIT LOG       PORT 0 takes a free one
 *     libmodbus_slave rtu DEVICE UNIT LOG     19200 8N1
 *
 * Holding and input registers 0..199 are the same: 0-1 how often a read covered register 0,
 * 2-3 ms since the beginning (u32, high word first), 20..99 (unit * 1000 + address + served)
 * mod 65536, 190 is refused with exception 03, all others hold what was written last. One unit: libmodbus ignores all others.
 *
 * Every request becomes one JSON line of LOG as modbus_plant.py writes it. When it serves it prints
 * {"ready": PORT or "DEVICE"}. Ends on SIGTERM.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <modbus.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { REGISTERS = 200, REFUSED = 190, CLIENTS = 16, LINGER = 500 /* ms */ };

/* libmodbus waits again when a signal interrupts it, so this ends the program, between two requests
 * and only when the last answer has had time to arrive: a pty that is closed drops what is in it. */
static void on_signal(int number) {
    (void)number;
    poll(NULL, 0, LINGER);
    _exit(0);
}

/* Lets the end wait while a request is answered: what the log calls served was served. */
static void hold_signals(int how) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(how, &set, NULL);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void put32(modbus_mapping_t *map, int at, unsigned value) {
    map->tab_registers[at] = (uint16_t)(value >> 16);
    map->tab_registers[at + 1] = (uint16_t)value;
}

/* Brings the registers up to this request, answers it and logs it. */
static void serve(modbus_t *ctx, modbus_mapping_t *map, const uint8_t *query, int length,
                  const char *line, int unit, double begin, FILE *log) {
    static unsigned served;
    const uint8_t *pdu = query + modbus_get_header_length(ctx);
    int function = pdu[0], at = pdu[1] << 8 | pdu[2], count = pdu[3] << 8 | pdu[4];
    hold_signals(SIG_BLOCK);
    double t = now();
    unsigned clock = (unsigned)((t - begin) * 1000);
    int reads = function == 3 || function == 4, counted = reads && at == 0;
    if (counted)
        served++;
    put32(map, 0, served);
    put32(map, 2, clock);
    for (int i = 20; i < 100; i++)
        map->tab_registers[i] = (uint16_t)((unsigned)(unit * 1000 + i) + served);
    memcpy(map->tab_input_registers, map->tab_registers, REGISTERS * sizeof(uint16_t));
    fprintf(log, "{\"t\": %.6f, \"line\": \"%s\", \"unit\": %d, \"fc\": %d, \"at\": %d", t, line,
            unit, function, at);
    if (reads)
        fprintf(log, ", \"count\": %d, \"clock\": %u", count, clock);
    if (counted)
        fprintf(log, ", \"served\": %u", served);
    if (function == 6)
        fprintf(log, ", \"count\": 1, \"wrote\": [%d]", count);
    if (function == 16) {
        fprintf(log, ", \"count\": %d, \"wrote\": [", count);
        for (int i = 0; i < count; i++)
            fprintf(log, "%s%d", i ? ", " : "", pdu[6 + 2 * i] << 8 | pdu[7 + 2 * i]);
        fprintf(log, "]");
    }
    fprintf(log, "}\n");
    if (reads && at <= REFUSED && REFUSED < at + count)
        modbus_reply_exception(ctx, query, MODBUS_EXCEPTION_ILLEGAL_DATA_VALUE);
    else
        modbus_reply(ctx, query, length, map);
    hold_signals(SIG_UNBLOCK);
}

static void serve_tcp(modbus_mapping_t *map, int port, int unit, FILE *log) {
    modbus_t *ctx = modbus_new_tcp("127.0.0.1", port);
    int clients[CLIENTS], many = 0;
    uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
    int listener = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    socklen_t size = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, CLIENTS)) {
        perror("bind");
        exit(1);
    }
    getsockname(listener, (struct sockaddr *)&address, &size);
    printf("{\"ready\": %d}\n", ntohs(address.sin_port));
    fflush(stdout);
    double begin = now();
    for (;;) {
        fd_set set;
        int highest = listener;
        FD_ZERO(&set);
        FD_SET(listener, &set);
        for (int i = 0; i < many; i++) {
            FD_SET(clients[i], &set);
            highest = clients[i] > highest ? clients[i] : highest;
        }
        if (select(highest + 1, &set, NULL, NULL, NULL) < 0)
            continue;
        for (int i = many - 1; i >= 0; i--) {
            if (!FD_ISSET(clients[i], &set))
                continue;
            modbus_set_socket(ctx, clients[i]);
            int length = modbus_receive(ctx, query);
            if (length > 0) {
                serve(ctx, map, query, length, "libmodbus-tcp", unit, begin, log);
            } else if (length < 0) {
                close(clients[i]);
                clients[i] = clients[--many];
            }
        }
        if (FD_ISSET(listener, &set) && many < CLIENTS) {
            int client = accept(listener, NULL, NULL);
            if (client >= 0)
                clients[many++] = client;
        }
    }
}

static modbus_t *open_rtu(const char *device, int unit) {
    modbus_t *ctx = modbus_new_rtu(device, 19200, 'N', 8, 1);
    if (!ctx || modbus_set_slave(ctx, unit) || modbus_connect(ctx)) {
        fprintf(stderr, "%s: %s\n", device, modbus_strerror(errno));
        exit(1);
    }
    return ctx;
}

static void serve_rtu(modbus_mapping_t *map, const char *device, int unit, FILE *log) {
    uint8_t query[MODBUS_RTU_MAX_ADU_LENGTH];
    if (open(device, O_RDWR | O_NOCTTY) < 0) /* the line stays open while the context changes */
        exit(1);
    modbus_t *ctx = open_rtu(device, unit);
    printf("{\"ready\": \"%s\"}\n", device);
    fflush(stdout);
    double begin = now();
    for (;;) {
        int length = modbus_receive(ctx, query);
        if (length > 0) {
            serve(ctx, map, query, length, "libmodbus-rtu", unit, begin, log);
        } else if (length == 0) {
            /* After a request to another unit libmodbus takes the next frame for that unit's
             * answer. A dead unit gives none: a new context forgets it. */
            modbus_close(ctx);
            modbus_free(ctx);
            ctx = open_rtu(device, unit);
        }
    }
}

int main(int count, char **words) {
    if (count != 5) {
        fprintf(stderr, "usage: %s tcp PORT UNIT LOG | rtu DEVICE UNIT LOG\n", words[0]);
        return 64;
    }
    int tcp = strcmp(words[1], "tcp") == 0, unit = atoi(words[3]);
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    FILE *log = fopen(words[4], "a");
    modbus_mapping_t *map = modbus_mapping_new(64, 64, REGISTERS, REGISTERS);
    if (!log || !map) {
        perror(words[4]);
        return 1;
    }
    setvbuf(log, NULL, _IOLBF, 0);
    if (tcp)
        serve_tcp(map, atoi(words[2]), unit, log);
    else
        serve_rtu(map, words[2], unit, log);
    return 0;
}
