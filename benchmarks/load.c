/*
 * A load generator for chat servers: many WebSocket connections (RFC 6455), deliveries verified.
 *
 * It opens the connections, lets some of them talk, and checks on every connection that each
 * message arrives exactly once, each sender's in order, unchanged, and all in the same order as
 * everywhere else. At its end it prints one line of JSON. `load --help` lists the options.
 *
 * One thread and one epoll, because it shares a small machine with the server that it measures.
 * What makes it quick: reads of up to 256 KiB, and the text of a message is looked for where it was
 * last time before it is searched.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <math.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="          /* RFC 6455 1.3: key and answer are known */
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
/* A text begins with the mark, four digits of the sender and eight of its number; `@` to `O` are
 * the digits 0 to 15. The rest is always the same. */
#define MARK "say:"
#define FIXED 16
#define MEMORY 65536                            /* so many send times of each sender are kept */
#define BUFFER (256 * 1024)
#define LARGEST (16u << 20)
#define MANY_MISSING 100000

enum wire { PLAIN, CHATROOM, SOCKETIO };
enum state { UNUSED, CONNECTING, UPGRADING, GREETING, READY, LOST };

typedef struct {
    int fd;
    enum state state;
    bool polled_out, stuck, resumed, odd;
    uint32_t index;
    uint64_t hash, count;      /* of all messages that came, in their order */
    uint8_t *rest, *out;       /* what came of an unfinished frame; what could not be written yet */
    size_t rest_size, rest_room, out_size, out_room;
    uint64_t due;              /* when to connect (again) */
    char token[64], epoch[64];
    uint64_t last_id;
} Connection;

static struct {
    int port, connections, senders, window, size, pace, stuck;
    double rate, warm, seconds, settle, storm, drain, patience;
    const char *path;
    enum wire wire;
    bool deflate;
    int pids[16], pid_count;
} options = {.connections = 1, .size = 100, .pace = 32, .warm = 1, .seconds = 5, .settle = 0.5,
             .drain = 10, .patience = 60, .path = "/ws"};

static struct {
    uint64_t lost, undelivered, doubled, disordered, altered, closed, protocol, differing, unopened,
        unresumed;
} faults;
static struct { uint32_t reader, sender, number; } missing[MANY_MISSING];
static size_t missing_count;

static Connection *connections;
static int total, epoll, timer;
static int opening, ready, lost_connections;
static uint32_t *expected;               /* [reader][sender]: the number of the next message */
static uint32_t *said;                   /* [sender]: how many it has sent */
static uint32_t *seen_back;              /* [sender]: how many of them it got back */
static uint64_t (*sent_at)[MEMORY];      /* [sender][number % MEMORY], ns */
static bool talking, measuring, cut_off, ending;
static uint64_t deliveries, delivered_bytes, pings, messages_measured, now;
static uint64_t opened_count, messages_sent;
static double late;
static uint8_t *buffer;
static size_t text_at;                   /* where in a payload the text was last time */
static char padding[65536];
static size_t text_size;
static char first_closing[160];

#define MANTISSA 7
static uint64_t histogram[64 << MANTISSA], slowest;

static uint64_t clock_ns(clockid_t id) {
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t tick(void) { return now = clock_ns(CLOCK_MONOTONIC); }

static _Noreturn void give_up(const char *format, ...) {
    va_list list;
    va_start(list, format);
    fprintf(stderr, "load: ");
    vfprintf(stderr, format, list);
    fprintf(stderr, "\n");
    va_end(list);
    exit(2);
}

static void *need(void *memory) {
    if (!memory) give_up("out of memory");
    return memory;
}

/* ---- what the server uses: CPU of all its threads in ns, resident memory in bytes ---- */

static uint64_t server_cpu(void) {
    uint64_t sum = 0;
    for (int i = 0; i < options.pid_count; i++) {
        char path[300];
        snprintf(path, sizeof path, "/proc/%d/task", options.pids[i]);
        DIR *tasks = opendir(path);
        if (!tasks) continue;
        for (struct dirent *task; (task = readdir(tasks));) {
            if (task->d_name[0] == '.') continue;
            snprintf(path, sizeof path, "/proc/%d/task/%.20s/schedstat", options.pids[i],
                     task->d_name);
            FILE *file = fopen(path, "r");
            unsigned long long ns;
            if (file && fscanf(file, "%llu", &ns) == 1) sum += ns;
            if (file) fclose(file);
        }
        closedir(tasks);
    }
    return sum;
}

/* How long this program could run, but had no core to. */
static uint64_t own_wait(void) {
    unsigned long long ran, waited = 0;
    FILE *file = fopen("/proc/self/schedstat", "r");
    if (file && fscanf(file, "%llu %llu", &ran, &waited) != 2) waited = 0;
    if (file) fclose(file);
    return waited;
}

static uint64_t server_memory(void) {
    uint64_t sum = 0;
    for (int i = 0; i < options.pid_count; i++) {
        char path[100];
        snprintf(path, sizeof path, "/proc/%d/statm", options.pids[i]);
        FILE *file = fopen(path, "r");
        unsigned long long size, resident;
        if (file && fscanf(file, "%llu %llu", &size, &resident) == 2)
            sum += resident * (uint64_t)sysconf(_SC_PAGESIZE);
        if (file) fclose(file);
    }
    return sum;
}

/* ---- latencies: buckets of 1/128 of their size ---- */

static inline void took(uint64_t ns) {
    if (ns > slowest) slowest = ns;
    unsigned bits = 63u - (unsigned)__builtin_clzll(ns | 1);
    unsigned shift = bits > MANTISSA ? bits - MANTISSA : 0;
    histogram[((uint64_t)shift << MANTISSA) + (ns >> shift)]++;
}

static double percentile(double share) {
    uint64_t sum = 0, before = 0;
    for (size_t i = 0; i < 64 << MANTISSA; i++) sum += histogram[i];
    for (size_t i = 0; sum && i < 64 << MANTISSA; i++) {
        before += histogram[i];
        if ((double)before >= share * (double)sum) {
            unsigned shift = i < 2 << MANTISSA ? 0 : (unsigned)(i >> MANTISSA) - 1;
            uint64_t low = (i - ((uint64_t)shift << MANTISSA)) << shift;
            return (double)(low + (1ull << shift) / 2) / 1e6;
        }
    }
    return 0;
}

/* ---- sockets ---- */

static void watch(Connection *c, int how, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (epoll_ctl(epoll, how, c->fd, &event)) give_up("epoll_ctl: %s", strerror(errno));
}

static void closing(Connection *c, const char *why) {
    if (c->state == LOST) return;
    if (c->state < READY) opening--;
    else ready--;
    if (!ending && !cut_off && !faults.closed++)
        snprintf(first_closing, sizeof first_closing, "%s", why);
    c->state = LOST;
    lost_connections++;
    close(c->fd);
    c->rest_size = c->out_size = 0;
}

static void push(Connection *c, const uint8_t *data, size_t size) {
    ssize_t sent = 0;
    if (!c->out_size) {
        sent = send(c->fd, data, size, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno != EAGAIN) {
                closing(c, strerror(errno));
                return;
            }
            sent = 0;
        }
    }
    size_t left = size - (size_t)sent;
    if (!left) return;
    if (c->out_size + left > c->out_room)
        c->out = need(realloc(c->out, c->out_room = (c->out_size + left) * 2));
    memcpy(c->out + c->out_size, data + sent, left);
    c->out_size += left;
    if (!c->polled_out) watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
    c->polled_out = true;
}

static void push_on(Connection *c) {
    ssize_t sent = send(c->fd, c->out, c->out_size, MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) return;
    if (sent < 0) {
        closing(c, strerror(errno));
        return;
    }
    c->out_size -= (size_t)sent;
    memmove(c->out, c->out + sent, c->out_size);
    if (!c->out_size) {
        c->polled_out = false;
        watch(c, EPOLL_CTL_MOD, EPOLLIN);
    }
}

/* ---- frames out: masked (RFC 6455 5.3) ---- */

static uint32_t random_mask(void) {
    static uint64_t state = 0x9e3779b97f4a7c15u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 16);
}

static size_t masked(uint8_t *frame, uint8_t opcode, const char *payload, size_t size) {
    uint32_t key = random_mask();
    uint64_t mask = key | (uint64_t)key << 32;
    size_t head = 2;
    frame[0] = 0x80 | opcode;
    if (size < 126) {
        frame[1] = 0x80 | (uint8_t)size;
    } else {
        frame[1] = 0x80 | 126;
        frame[2] = (uint8_t)(size >> 8);
        frame[3] = (uint8_t)size;
        head = 4;
    }
    memcpy(frame + head, &key, 4);
    uint8_t *to = frame + head + 4;
    size_t i = 0;
    for (; i + 8 <= size; i += 8) {
        uint64_t word;
        memcpy(&word, payload + i, 8);
        word ^= mask;
        memcpy(to + i, &word, 8);
    }
    for (; i < size; i++) to[i] = (uint8_t)payload[i] ^ (uint8_t)(key >> (i % 4 * 8));
    return head + 4 + size;
}

static void send_text(Connection *c, const char *text) {
    uint8_t frame[300];
    push(c, frame, masked(frame, 1, text, strlen(text)));
}

static void digits(char *to, uint64_t value, int count) {
    while (count--) {
        to[count] = (char)('@' + (value & 15));
        value >>= 4;
    }
}

static inline uint64_t number(const uint8_t *from) { /* of eight digits */
    uint64_t word;
    memcpy(&word, from, 8);
    word = __builtin_bswap64(word) & 0x0f0f0f0f0f0f0f0fu;
    word = (word | word >> 4) & 0x00ff00ff00ff00ffu;
    word = (word | word >> 8) & 0x0000ffff0000ffffu;
    return (word | word >> 16) & 0xffffffffu;
}

static void talk(Connection *c, int count) {
    static uint8_t frames[1 << 20];
    static char payload[66000];
    static size_t size, at;
    if (!size) {
        const char *head = "{\"event\":\"talk\",\"data\":{\"message\":\"";
        if (options.wire == SOCKETIO) head = "42[\"talk\",{\"message\":\"";
        at = strlen(head);
        size = (size_t)snprintf(payload, sizeof payload, "%s" MARK "%012d%.*s%s", head, 0,
                                (int)(text_size - FIXED), padding,
                                options.wire == SOCKETIO ? "\"}]" : "\"}}");
    }
    size_t used = 0;
    uint32_t s = c->index;
    for (int i = 0; i < count; i++) {
        if (used + size + 16 > sizeof frames) {
            push(c, frames, used);
            used = 0;
        }
        digits(payload + at + 4, s, 4);
        digits(payload + at + 8, said[s], 8);
        used += masked(frames + used, 1, payload, size);
        sent_at[s][said[s]++ % MEMORY] = now;
        messages_sent++;
        if (measuring) messages_measured++;
    }
    if (used && c->state == READY) push(c, frames, used);
}

static void fill_window(Connection *c) {
    int room = options.window - (int)(said[c->index] - seen_back[c->index]);
    if (room > 0) talk(c, room);
}

/* ---- frames in ---- */

static void irregular(Connection *c, uint32_t sender, uint32_t n) {
    uint32_t *next = &expected[(size_t)c->index * (size_t)options.senders + sender];
    c->odd = true;
    if (n >= said[sender]) {
        faults.altered++;
        return;
    }
    if (n > *next) { /* those between are lost, unless they come later */
        for (uint32_t i = *next; i < n; i++) {
            faults.lost++;
            if (missing_count < MANY_MISSING) {
                missing[missing_count].reader = c->index;
                missing[missing_count].sender = sender;
                missing[missing_count++].number = i;
            }
        }
        *next = n + 1;
        return;
    }
    for (size_t i = 0; i < missing_count; i++)
        if (missing[i].reader == c->index && missing[i].sender == sender &&
            missing[i].number == n) {
            missing[i] = missing[--missing_count];
            faults.lost--;
            faults.disordered++;
            return;
        }
    faults.doubled++;
}

static inline void heard(Connection *c, const uint8_t *text, size_t frame_size) {
    uint64_t word = number(text + 8);
    uint32_t n = (uint32_t)word, sender = (uint32_t)(number(text) & 0xffff);
    if (sender >= (uint32_t)options.senders || memcmp(text + FIXED, padding, text_size - FIXED)) {
        faults.altered++;
        return;
    }
    uint32_t *next = &expected[(size_t)c->index * (size_t)options.senders + sender];
    if (*next == n) *next = n + 1;
    else irregular(c, sender, n);
    c->count++;
    c->hash = (c->hash ^ (word | (uint64_t)sender << 32)) * 0x100000001b3u;
    if (measuring) {
        deliveries++;
        delivered_bytes += frame_size;
        took(now - sent_at[sender][n % MEMORY]);
    }
    if (sender == c->index) seen_back[sender]++;
}

static void member(const char *json, const char *name, char *to, size_t room) {
    const char *at = strstr(json, name);
    if (!at) return;
    at += strlen(name);
    size_t size = strcspn(at, "\",}");
    if (size < room) {
        memcpy(to, at, size);
        to[size] = 0;
    }
}

static void greeted(Connection *c) {
    c->state = READY;
    opening--;
    ready++;
    opened_count++;
    if (c->stuck) watch(c, EPOLL_CTL_DEL, 0);
}

static void other(Connection *c, const uint8_t *payload, size_t size) {
    /* Not what was expected where it was expected: an event, or a text at another place. */
    const char *name = options.wire == SOCKETIO ? "42[\"talk\"" : "{\"event\":\"talk\"";
    if (size >= strlen(name) && !memcmp(payload, name, strlen(name))) {
        const uint8_t *text = memmem(payload, size, MARK, 4);
        if (!text || (size_t)(payload + size - text) < text_size) {
            faults.altered++;
            return;
        }
        text_at = (size_t)(text - payload);
        if (!c->stuck) heard(c, text, size);
        return;
    }
    if (options.wire == SOCKETIO) {
        if (size && payload[0] == '0') send_text(c, "40");
        else if (size == 1 && payload[0] == '2') {
            send_text(c, "3");
            if (measuring) pings++;
        } else if (size > 1 && !memcmp(payload, "40", 2) && c->state == GREETING) greeted(c);
    } else if (c->state == GREETING) {
        if (options.storm) {
            static char init[1 << 20];
            size_t part = size < sizeof init ? size : sizeof init - 1;
            memcpy(init, payload, part);
            init[part] = 0;
            member(init, "\"token\":\"", c->token, sizeof c->token);
            member(init, "\"epoch\":\"", c->epoch, sizeof c->epoch);
            c->resumed = strstr(init, "\"resumed\":true") != NULL;
        }
        greeted(c);
    }
}

static void remember_id(Connection *c, const uint8_t *payload, size_t size) {
    const uint8_t *at = memmem(payload, size, "\"id\":", 5);
    if (at) c->last_id = strtoull((const char *)at + 5, NULL, 10);
}

/* Take all whole frames from *data*; return how many bytes they are. */
static size_t take(Connection *c, const uint8_t *data, size_t size) {
    const uint8_t *p = data, *end = data + size;
    while (end - p >= 2) {
        size_t head = 2, length = p[1];
        if (length >= 126) {
            if (length == 126) {
                if (end - p < 4) break;
                head = 4;
                length = (size_t)p[2] << 8 | p[3];
            } else if (length == 127) {
                if (end - p < 10) break;
                head = 10;
                length = 0;
                for (int i = 2; i < 10; i++) length = length << 8 | p[i];
            }
            if (p[1] > 127 || length > LARGEST) {
                faults.protocol++;
                closing(c, "a masked or huge frame");
                return size;
            }
        }
        if ((size_t)(end - p) < head + length) break;
        const uint8_t *payload = p + head;
        uint8_t first = p[0];
        p = payload + length;
        if (first == 0x81) {
            const uint8_t *text = payload + text_at;
            if (c->state == READY && length >= text_at + text_size && !memcmp(text, MARK, 4) &&
                !memcmp(payload + (options.wire == SOCKETIO ? 4 : 10), "talk\"", 5))
                heard(c, text, head + length);
            else
                other(c, payload, length);
            if (options.storm && c->state == READY) remember_id(c, payload, length);
        } else {
            if (first == 0xc1 && options.deflate) { /* its text stays unread */
                if (c->state == GREETING) greeted(c);
            } else if (first == 0x89 && length < 126) {
                uint8_t pong[140];
                push(c, pong, masked(pong, 10, (const char *)payload, length));
                if (measuring) pings++;
            } else if (first == 0x88) {
                char why[200];
                snprintf(why, sizeof why, "closed with %d %.*s",
                         length < 2 ? 1005 : payload[0] << 8 | payload[1],
                         length > 2 ? (int)length - 2 : 0, payload + 2);
                closing(c, why);
            } else if (first != 0x8a) {
                faults.protocol++;
                closing(c, "a frame that this program does not know");
            }
        }
        if (c->state == LOST) return size;
    }
    return (size_t)(p - data);
}

static void upgraded(Connection *c, uint8_t **data, size_t *size) {
    uint8_t *end = memmem(*data, *size, "\r\n\r\n", 4);
    if (!end) return;
    size_t head = (size_t)(end + 4 - *data);
    if (memcmp(*data, "HTTP/1.1 101", 12) || !memmem(*data, head, ACCEPT, sizeof ACCEPT - 1)) {
        char why[100];
        snprintf(why, sizeof why, "refused: %.*s", (int)strcspn((char *)*data, "\r\n"),
                 (char *)*data);
        closing(c, why);
        *size = 0;
        return;
    }
    if (options.deflate && !memmem(*data, head, "permessage-deflate", 18))
        give_up("the server does not compress");
    *data += head;
    *size -= head;
    c->state = GREETING;
    if (options.wire == PLAIN) greeted(c);
}

static void receive(Connection *c) {
    size_t kept = c->rest_size;
    if (kept) memcpy(buffer, c->rest, kept);
    ssize_t got = recv(c->fd, buffer + kept, BUFFER, 0);
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN) closing(c, got ? strerror(errno) : "no close frame");
        return;
    }
    tick();
    uint8_t *data = buffer;
    size_t size = kept + (size_t)got;
    if (c->state == UPGRADING) upgraded(c, &data, &size);
    bool reads = c->state == GREETING || (c->state == READY && !c->stuck);
    size_t used = reads && size ? take(c, data, size) : 0;
    if (c->state == LOST) return;
    size_t left = size - used;
    if (left) {
        if (left > LARGEST) give_up("a frame is too large");
        if (left > c->rest_room) c->rest = need(realloc(c->rest, c->rest_room = left * 2));
        memcpy(c->rest, data + used, left);
    }
    c->rest_size = left;
    if (talking && options.window && c->index < (uint32_t)options.senders && c->state == READY)
        fill_window(c);
}

/* ---- connecting ---- */

static void request(Connection *c) {
    char text[700], query[300] = "";
    if (c->token[0])
        snprintf(query, sizeof query, "?token=%s&after=%llu&epoch=%s", c->token,
                 (unsigned long long)c->last_id, c->epoch);
    int size = snprintf(text, sizeof text,
                        "GET %s%s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\nSec-WebSocket-Key: " KEY "\r\n"
                        "Sec-WebSocket-Version: 13\r\n%s\r\n",
                        options.path, query, options.port,
                        options.deflate ? "Sec-WebSocket-Extensions: permessage-deflate; "
                                          "client_max_window_bits\r\n"
                                        : "");
    push(c, (uint8_t *)text, (size_t)size);
}

static void dial(Connection *c) {
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) give_up("socket: %s", strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    /* An end without TIME_WAIT, or runs one after the other would use up the ports. */
    struct linger linger = {1, 0};
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    if (c->stuck) {
        int small = 4096, segment = 1400;
        setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
        setsockopt(c->fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof segment);
    }
    c->state = CONNECTING;
    opening++;
    if (connect(c->fd, (struct sockaddr *)&server, sizeof server) && errno != EINPROGRESS) {
        watch(c, EPOLL_CTL_ADD, 0);
        closing(c, strerror(errno));
        return;
    }
    c->polled_out = true;
    watch(c, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT);
}

static void turn(double longest) {
    struct epoll_event events[1024];
    int count = epoll_wait(epoll, events, 1024, longest < 0 ? 0 : (int)ceil(longest * 1e3));
    tick();
    for (int i = 0; i < count; i++) {
        Connection *c = events[i].data.ptr;
        if (!c) { /* the timer: time to talk */
            uint64_t times;
            if (read(timer, &times, sizeof times) < 0 && errno != EAGAIN) give_up("timer");
            continue;
        }
        if (c->state == LOST) continue;
        if (events[i].events & EPOLLOUT) {
            if (c->state == CONNECTING) {
                int error = 0;
                socklen_t size = sizeof error;
                getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
                if (error) {
                    closing(c, strerror(error));
                    continue;
                }
                c->state = UPGRADING;
                c->polled_out = false;
                watch(c, EPOLL_CTL_MOD, EPOLLIN);
                request(c);
            } else {
                push_on(c);
            }
        }
        if (c->state != LOST && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive(c);
    }
}

static double since(uint64_t start) { return (double)(tick() - start) / 1e9; }

/* Dial all that are not, at most *pace* at a time and none before it is due. */
static bool open_all(double patience) {
    uint64_t start = tick();
    int next = 0;
    while (ready < total && since(start) < patience && !lost_connections) {
        while (next < total && opening < options.pace && connections[next].due <= now)
            dial(&connections[next++]);
        double wait = 0.1;
        if (next < total && opening < options.pace) {
            wait = ((double)connections[next].due - (double)now) / 1e9;
            if (wait > 0.1) wait = 0.1;
        }
        turn(wait);
    }
    faults.unopened += (uint64_t)(total - ready);
    return ready == total;
}

static void for_seconds(double seconds) {
    uint64_t start = tick();
    static uint64_t first_due, count;
    bool by_rate = talking && options.rate > 0;
    if (by_rate && !first_due) first_due = now;
    while (since(start) < seconds) {
        double wait = seconds - (double)(now - start) / 1e9;
        if (by_rate) {
            uint64_t due;
            while ((due = first_due + (uint64_t)((double)count * 1e9 / options.rate)) <= now) {
                double lateness = (double)(now - due) / 1e6;
                if (measuring && lateness > late) late = lateness;
                Connection *c = &connections[count++ % (uint64_t)options.senders];
                if (c->state == READY) talk(c, 1);
            }
            struct itimerspec at = {.it_value = {(time_t)(due / 1000000000u),
                                                 (long)(due % 1000000000u)}};
            timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
        }
        turn(wait);
    }
}

static bool all_came(void) {
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < options.connections; i++)
        if (connections[i].state == READY && connections[i].count < least)
            least = connections[i].count;
    return least >= messages_sent;
}

static void drain(void) {
    uint64_t start = tick();
    while (!all_came() && since(start) < options.drain && ready) turn(0.01);
}

static void verify(void) {
    uint64_t usual = 0;
    size_t votes = 0;
    for (int r = 0; r < options.connections; r++) {
        Connection *c = &connections[r];
        for (int s = 0; s < options.senders; s++) {
            uint32_t next = expected[(size_t)r * (size_t)options.senders + (size_t)s];
            faults.undelivered += said[s] - next;
            c->odd = c->odd || next != said[s];
        }
        if (c->odd) continue;
        if (!votes) usual = c->hash; /* the hash of the majority is left in the end */
        votes += c->hash == usual ? 1 : (size_t)-1;
    }
    for (int r = 0; r < options.connections; r++)
        faults.differing += !connections[r].odd && connections[r].hash != usual;
}

/* ---- a storm: all are cut off, and come back to another process ---- */

static struct { double seconds; uint64_t cpu, memory; } storm;

static void weather(void) {
    printf("ready\n");
    fflush(stdout);
    cut_off = true;
    uint64_t start = tick();
    while (ready && since(start) < options.patience) turn(0.1);
    if (ready) give_up("the server was not ended");
    char line[32];
    if (!fgets(line, sizeof line, stdin)) give_up("no pid came");
    options.pids[0] = atoi(line);
    options.pid_count = 1;
    lost_connections = opening = 0;
    cut_off = false;
    uint64_t before = server_cpu();
    start = tick();
    for (int i = 0; i < total; i++) {
        Connection *c = &connections[i];
        c->state = UNUSED;
        c->resumed = false;
        c->rest_size = c->out_size = 0;
        c->due = start + (uint64_t)(options.storm * 1e9 * i / total);
    }
    options.pace = total;
    open_all(options.storm + options.patience);
    storm.seconds = since(start);
    storm.cpu = server_cpu() - before;
    storm.memory = server_memory();
    for (int i = 0; i < total; i++) faults.unresumed += !connections[i].resumed;
}

/* ---- options and the report ---- */

static void usage(FILE *to) {
    fputs("load --port PORT [options]: load a chat server on 127.0.0.1, verify what it delivers\n"
          "  --path PATH        of the WebSocket [/ws]\n"
          "  --wire WIRE        plain, chatroom (greets with init) or socketio [plain]\n"
          "  --connections N    that read [1]\n"
          "  --senders S        the first S of them also talk [0]\n"
          "  --window W         each has W messages on the way, or\n"
          "  --rate R           all together send R messages a second\n"
          "  --size BYTES       of a message's JSON [100]\n"
          "  --warm S           seconds before measuring [1]\n"
          "  --seconds S        to measure [5]\n"
          "  --settle S         seconds of rest when all are connected [0.5]\n"
          "  --drain S          seconds at most for the last messages to arrive [10]\n"
          "  --pace N           handshakes at once [32]\n"
          "  --stuck N          further connections that never read [0]\n"
          "  --deflate          ask for permessage-deflate (no senders then)\n"
          "  --storm S          when all are connected and warm is over, print ready, wait until\n"
          "                     the server is gone, read a pid, come back spread over S seconds\n"
          "  --pid PID[,PID…]   the server, whose CPU and memory are to be reported\n",
          to);
}

static double positive(const char *name, const char *text) {
    char *end;
    double value = strtod(text, &end);
    if (*end || end == text || !(value >= 0) || value > 1e9) give_up("--%s: not %s", name, text);
    return value;
}

static void read_options(int count, char **texts) {
    static const struct option names[] = {
        {"port", 1, 0, 'p'},        {"path", 1, 0, 'a'},    {"wire", 1, 0, 'w'},
        {"connections", 1, 0, 'n'}, {"senders", 1, 0, 's'}, {"window", 1, 0, 'W'},
        {"rate", 1, 0, 'r'},        {"size", 1, 0, 'z'},    {"warm", 1, 0, 'm'},
        {"seconds", 1, 0, 't'},     {"settle", 1, 0, 'e'},  {"drain", 1, 0, 'd'},
        {"pace", 1, 0, 'c'},        {"stuck", 1, 0, 'k'},   {"deflate", 0, 0, 'f'},
        {"storm", 1, 0, 'o'},       {"pid", 1, 0, 'i'},     {"help", 0, 0, 'h'},
        {0}};
    int which, at;
    while ((which = getopt_long(count, texts, "", names, &at)) != -1) {
        if (which == '?') exit(2);
        const char *name = names[at].name, *text = optarg;
        if (which == 'h') usage(stdout), exit(0);
        else if (which == 'f') options.deflate = true;
        else if (which == 'a') options.path = text;
        else if (which == 'w') {
            if (!strcmp(text, "plain")) options.wire = PLAIN;
            else if (!strcmp(text, "chatroom")) options.wire = CHATROOM;
            else if (!strcmp(text, "socketio")) options.wire = SOCKETIO;
            else give_up("--wire: not %s", text);
        } else if (which == 'i') {
            for (char *next = strdup(text); (text = strtok(next, ",")); next = NULL)
                if (options.pid_count < 16) options.pids[options.pid_count++] = atoi(text);
        } else {
            double value = positive(name, text);
            switch (which) {
            case 'p': options.port = (int)value; break;
            case 'n': options.connections = (int)value; break;
            case 's': options.senders = (int)value; break;
            case 'W': options.window = (int)value; break;
            case 'r': options.rate = value; break;
            case 'z': options.size = (int)value; break;
            case 'm': options.warm = value; break;
            case 't': options.seconds = value; break;
            case 'e': options.settle = value; break;
            case 'd': options.drain = value; break;
            case 'c': options.pace = (int)value; break;
            case 'k': options.stuck = (int)value; break;
            case 'o': options.storm = value; break;
            }
        }
    }
    const int around = 38; /* {"event":"talk","data":{"message":""}} */
    if (!options.port) usage(stderr), exit(2);
    if (options.connections < 1 || options.pace < 1) give_up("at least one connection");
    if (options.senders > options.connections || options.senders > 65535)
        give_up("senders are connections, too");
    if (options.senders && !options.window == !options.rate) give_up("either --window or --rate");
    if (options.window > MEMORY) give_up("a window has at most %d", MEMORY);
    if (options.deflate && options.senders) give_up("what is compressed cannot be verified");
    if (options.size < around + FIXED + 1 || options.size > 60000)
        give_up("a message has %d to 60000 bytes", around + FIXED + 1);
    text_size = (size_t)(options.size - around);
    for (size_t i = 0; i < sizeof padding; i++) padding[i] = (char)('a' + i % 26);
    total = options.connections + options.stuck;
}

typedef unsigned long long whole;

static void print_figures(double seconds, double handshakes, double own, double waiting) {
    printf("{\"connections\": %d, \"senders\": %d, \"window\": %d, \"rate\": %g, ",
           options.connections, options.senders, options.window, options.rate);
    printf("\"size\": %d, \"stuck\": %d, \"seconds\": %.3f, ", options.size, options.stuck,
           seconds);
    printf("\"messages\": %llu, \"deliveries\": %llu, \"deliveries_per_second\": %.0f, ",
           (whole)messages_measured, (whole)deliveries,
           seconds > 0 ? (double)deliveries / seconds : 0);
    printf("\"bytes_per_delivery\": %.1f, ",
           deliveries ? (double)delivered_bytes / (double)deliveries : 0);
    printf("\"p50_ms\": %.4f, \"p90_ms\": %.4f, \"p99_ms\": %.4f, \"max_ms\": %.4f, ",
           percentile(0.5), percentile(0.9), percentile(0.99), (double)slowest / 1e6);
    printf("\"late_ms\": %.3f, \"handshakes_per_second\": %.0f, \"pings\": %llu, ", late,
           handshakes, (whole)pings);
    printf("\"own_cpu\": %.3f, \"own_wait\": %.3f, \"bottleneck\": %s, ", own, waiting,
           own > 0.95 ? "true" : "false");
    if (options.storm)
        printf("\"storm\": {\"seconds\": %.3f, \"cpu_s\": %.6f, \"cpu_us_per_client\": %.2f, "
               "\"memory\": %llu}, ",
               storm.seconds, (double)storm.cpu / 1e9, (double)storm.cpu / 1e3 / total,
               (whole)storm.memory);
}

/* *cpu* and *memory* at the start, when all were connected, and in turn: before and after what was
 * measured; when that had ended, and when the last message had arrived. */
static void print_server(double seconds, const uint64_t cpu[4], const uint64_t memory[4]) {
    double used = (double)(cpu[3] - cpu[2]);
    printf("\"server\": {\"handshake_cpu_us\": %.2f, \"cpu_s\": %.6f, \"cpu_share\": %.3f, ",
           (double)(cpu[1] - cpu[0]) / 1e3 / total, used / 1e9,
           seconds > 0 ? used / 1e9 / seconds : 0);
    printf("\"cpu_us_per_delivery\": %.4f, ",
           deliveries ? used / 1e3 / (double)deliveries : 0);
    printf("\"memory_start\": %llu, \"memory_connected\": %llu, ", (whole)memory[0],
           (whole)memory[1]);
    printf("\"memory_after\": %llu, \"memory_drained\": %llu, ", (whole)memory[2],
           (whole)memory[3]);
    printf("\"bytes_per_connection\": %.0f}, ",
           ((double)memory[1] - (double)memory[0]) / total);
}

/* True if there are none. */
static bool print_faults(void) {
    const struct { const char *name; uint64_t count; } all[] = {
        {"lost", faults.lost},
        {"undelivered", faults.undelivered},
        {"doubled", faults.doubled},
        {"out_of_order", faults.disordered},
        {"altered", faults.altered},
        {"differing_order", faults.differing},
        {"closed", faults.closed},
        {"protocol", faults.protocol},
        {"not_opened", faults.unopened},
        {"not_resumed", faults.unresumed},
    };
    bool none = true;
    printf("\"faults\": {");
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        none = none && !all[i].count;
        printf("%s\"%s\": %llu", i ? ", " : "", all[i].name, (whole)all[i].count);
    }
    for (char *c = first_closing; *c; c++)
        if (*c == '"' || *c == '\\' || (unsigned char)*c < ' ' || *c & 0x80) *c = '?';
    printf("}, \"why_closed\": \"%s\", \"ok\": %s}\n", first_closing, none ? "true" : "false");
    return none;
}

static void out_of_time(int signal) {
    (void)signal;
    static const char why[] = "load: out of time\n";
    if (write(2, why, sizeof why - 1)) {}
    _exit(3);
}

int main(int count, char **texts) {
    read_options(count, texts);
    signal(SIGALRM, out_of_time);
    alarm((unsigned)(options.warm + options.seconds + options.settle + options.drain +
                     2 * options.storm + 3 * options.patience));
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if ((rlim_t)total + 20 > files.rlim_max)
        give_up("%d connections are more than ulimit -n allows: %llu", total,
                (unsigned long long)files.rlim_max);
    size_t senders = options.senders ? (size_t)options.senders : 1;
    connections = need(calloc((size_t)total, sizeof *connections));
    expected = need(calloc((size_t)total * senders, sizeof *expected));
    said = need(calloc(senders, sizeof *said));
    seen_back = need(calloc(senders, sizeof *seen_back));
    sent_at = need(calloc(senders, sizeof *sent_at));
    buffer = need(malloc(LARGEST * 2 + BUFFER));
    for (int i = 0; i < total; i++) {
        connections[i].index = (uint32_t)i;
        connections[i].stuck = i >= options.connections;
    }
    epoll = epoll_create1(EPOLL_CLOEXEC);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &event);

    uint64_t memory[4], cpu[4], start = tick();
    cpu[0] = server_cpu();
    memory[0] = server_memory();
    bool opened = open_all(options.patience);
    double handshakes = (double)opened_count / since(start);
    cpu[1] = server_cpu();
    if (opened) for_seconds(options.settle);
    memory[1] = server_memory();

    talking = options.senders > 0 && opened;
    if (talking && options.window)
        for (int i = 0; i < options.senders; i++) {
            tick();
            fill_window(&connections[i]);
        }
    if (opened) for_seconds(options.warm);
    if (options.storm && opened) {
        talking = false;
        drain();
        verify();
        weather();
    }

    measuring = true;
    start = tick();
    uint64_t own = clock_ns(CLOCK_PROCESS_CPUTIME_ID), waited = own_wait();
    cpu[2] = server_cpu();
    if (opened && !options.storm) for_seconds(options.seconds);
    cpu[3] = server_cpu();
    own = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - own;
    waited = own_wait() - waited;
    double seconds = since(start);
    measuring = talking = false;
    memory[2] = server_memory();
    if (opened && !options.storm) drain();
    memory[3] = server_memory();
    ending = true;
    if (opened && !options.storm) verify();

    double share = seconds > 0 ? (double)own / 1e9 / seconds : 0;
    double waiting = seconds > 0 ? (double)waited / 1e9 / seconds : 0;
    print_figures(seconds, handshakes, share, waiting);
    if (options.pid_count) print_server(seconds, cpu, memory);
    return print_faults() ? 0 : 1;
}
