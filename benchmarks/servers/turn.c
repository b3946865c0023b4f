/*
 * What C can do at the least: `turn PORT send|turn`, a WebSocket room on 127.0.0.1.
 *
 * It unmasks and parses each message, rebuilds it with an id and the sender's, and sends it to all
 * who are connected. With `send` that is one send() for each message and reader, with `turn` one
 * for each reader and turn of the loop. What a reader's socket does not take at once waits for it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define LARGEST 65536
#define BUFFER (256 * 1024)
#define BEHIND (32u << 20) /* a reader who is further behind is dropped */

typedef struct {
    int fd, id;
    bool open, gone;
    size_t place;
    uint8_t *rest, *out;
    size_t rest_size, rest_room, out_size, out_room, out_sent;
} Client;

static int watched; /* by epoll */
static bool by_turn;
static Client **clients; /* those whose handshake is done */
static size_t client_count, client_room;
static Client *gone[4096];
static size_t gone_count;
static uint8_t *turn_bytes;
static size_t turn_size, turn_room;
static uint8_t *buffer;
static unsigned long last_id;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void *need(void *memory) {
    if (!memory) fail("memory");
    return memory;
}

/* ---- SHA-1 (RFC 3174) and base64, for the handshake ---- */

static uint32_t rotate(uint32_t word, int by) { return word << by | word >> (32 - by); }

static void sha1(const uint8_t *text, size_t size, uint8_t digest[20]) {
    uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    size_t blocks = (size + 8) / 64 + 1;
    for (size_t block = 0; block < blocks; block++) {
        uint8_t bytes[64];
        for (size_t i = 0; i < 64; i++) {
            size_t at = block * 64 + i;
            bytes[i] = at < size ? text[at] : at == size ? 0x80 : 0;
        }
        if (block == blocks - 1)
            for (int i = 0; i < 8; i++)
                bytes[56 + i] = (uint8_t)((uint64_t)size * 8 >> (56 - 8 * i));
        uint32_t w[80];
        for (int i = 0; i < 16; i++)
            w[i] = (uint32_t)bytes[4 * i] << 24 | (uint32_t)bytes[4 * i + 1] << 16 |
                   (uint32_t)bytes[4 * i + 2] << 8 | bytes[4 * i + 3];
        for (int i = 16; i < 80; i++)
            w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
        uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
        for (int i = 0; i < 80; i++) {
            uint32_t f = i < 20   ? ((b & c) | (~b & d)) + 0x5a827999
                         : i < 40 ? (b ^ c ^ d) + 0x6ed9eba1
                         : i < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc
                                  : (b ^ c ^ d) + 0xca62c1d6;
            uint32_t next = rotate(a, 5) + f + e + w[i];
            e = d, d = c, c = rotate(b, 30), b = a, a = next;
        }
        h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
    }
    for (int i = 0; i < 20; i++) digest[i] = (uint8_t)(h[i / 4] >> (24 - i % 4 * 8));
}

static void base64(const uint8_t *data, size_t size, char *to) {
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size; i += 3) {
        uint32_t three = (uint32_t)data[i] << 16;
        if (i + 1 < size) three |= (uint32_t)data[i + 1] << 8;
        if (i + 2 < size) three |= data[i + 2];
        *to++ = letters[three >> 18];
        *to++ = letters[three >> 12 & 63];
        *to++ = i + 1 < size ? letters[three >> 6 & 63] : '=';
        *to++ = i + 2 < size ? letters[three & 63] : '=';
    }
    *to = 0;
}

/* ---- as much JSON as a message is (RFC 8259) ---- */

typedef struct { const char *at, *end; } Text;

static void blanks(Text *t) {
    while (t->at < t->end && strchr(" \t\r\n", *t->at) && *t->at) t->at++;
}

static bool eat(Text *t, char c) {
    blanks(t);
    if (t->at >= t->end || *t->at != c) return false;
    t->at++;
    return true;
}

/* The raw inside of a string. */
static bool string(Text *t, Text *inside) {
    if (!eat(t, '"')) return false;
    inside->at = t->at;
    for (; t->at < t->end; t->at++) {
        if (*t->at == '"') {
            inside->end = t->at++;
            return true;
        }
        if ((uint8_t)*t->at < ' ') return false;
        if (*t->at == '\\' && ++t->at == t->end) return false;
    }
    return false;
}

static bool skip(Text *t, int depth) {
    Text inside;
    blanks(t);
    if (t->at >= t->end || depth > 32) return false;
    if (*t->at == '"') return string(t, &inside);
    char close = *t->at == '{' ? '}' : *t->at == '[' ? ']' : 0;
    if (!close) {
        const char *start = t->at;
        while (t->at < t->end && !strchr(",]} \t\r\n", *t->at)) t->at++;
        return t->at > start;
    }
    t->at++;
    if (eat(t, close)) return true;
    do {
        if (close == '}' && !(string(t, &inside) && eat(t, ':'))) return false;
        if (!skip(t, depth + 1)) return false;
    } while (eat(t, ','));
    return eat(t, close);
}

static bool is(Text *text, const char *word) {
    size_t size = (size_t)(text->end - text->at);
    return size == strlen(word) && !memcmp(text->at, word, size);
}

/* Find the message in {"event": "talk", "data": {"message": …}}. */
static bool said(Text whole, Text *message) {
    Text name, event = {0}, data = {0};
    message->at = NULL;
    if (!eat(&whole, '{')) return false;
    do {
        if (!string(&whole, &name) || !eat(&whole, ':')) return false;
        if (is(&name, "event")) {
            if (!string(&whole, &event)) return false;
        } else {
            data = is(&name, "data") ? whole : data;
            if (!skip(&whole, 0)) return false;
        }
    } while (eat(&whole, ','));
    if (!eat(&whole, '}') || !event.at || !is(&event, "talk") || !data.at) return false;
    if (!eat(&data, '{')) return false;
    do {
        if (!string(&data, &name) || !eat(&data, ':')) return false;
        if (is(&name, "message") ? !string(&data, message) : !skip(&data, 0)) return false;
    } while (eat(&data, ','));
    return message->at != NULL;
}

/* ---- sending ---- */

static void drop(Client *c) {
    if (c->gone) return;
    c->gone = true;
    if (c->open) {
        clients[c->place] = clients[--client_count];
        clients[c->place]->place = c->place;
    }
    epoll_ctl(watched, EPOLL_CTL_DEL, c->fd, NULL);
    close(c->fd);
    if (gone_count == sizeof gone / sizeof *gone) fail("too many are gone at once");
    gone[gone_count++] = c;
}

static void watch(Client *c, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (epoll_ctl(watched, EPOLL_CTL_MOD, c->fd, &event)) fail("epoll_ctl");
}

/* False if the reader had to be dropped. */
static bool push(Client *c, const uint8_t *data, size_t size) {
    ssize_t sent = 0;
    if (!c->out_size) {
        sent = send(c->fd, data, size, MSG_NOSIGNAL);
        if (sent == (ssize_t)size) return true;
        if (sent < 0 && errno != EAGAIN) {
            drop(c);
            return false;
        }
        if (sent < 0) sent = 0;
        watch(c, EPOLLIN | EPOLLOUT);
    }
    size_t left = size - (size_t)sent;
    if (c->out_size + left > BEHIND) {
        drop(c);
        return false;
    }
    if (c->out_size + left > c->out_room)
        c->out = need(realloc(c->out, c->out_room = 2 * (c->out_size + left)));
    memcpy(c->out + c->out_size, data + sent, left);
    c->out_size += left;
    return true;
}

static void push_on(Client *c) {
    ssize_t sent = send(c->fd, c->out + c->out_sent, c->out_size - c->out_sent, MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN) drop(c);
        return;
    }
    c->out_sent += (size_t)sent;
    if (c->out_sent == c->out_size) {
        free(c->out);
        c->out = NULL;
        c->out_size = c->out_room = c->out_sent = 0;
        watch(c, EPOLLIN);
    }
}

static void to_all(const uint8_t *data, size_t size) {
    for (size_t i = 0; i < client_count;)
        if (push(clients[i], data, size)) i++; /* else another one has taken the place */
}

static size_t heading(uint8_t *frame, uint8_t opcode, size_t size) {
    frame[0] = 0x80 | opcode;
    if (size < 126) {
        frame[1] = (uint8_t)size;
        return 2;
    }
    frame[1] = 126;
    frame[2] = (uint8_t)(size >> 8);
    frame[3] = (uint8_t)size;
    return 4;
}

static void talk(Client *c, const char *payload, size_t size) {
    static char text[LARGEST + 200];
    static uint8_t frame[LARGEST + 300];
    Text message;
    if (!said((Text){payload, payload + size}, &message)) return;
    int length = snprintf(text, sizeof text,
                          "{\"event\":\"talk\",\"data\":{\"id\":%lu,\"from\":%d,"
                          "\"message\":\"%.*s\"}}",
                          ++last_id, c->id, (int)(message.end - message.at), message.at);
    if ((size_t)length > 65535) return;
    size_t head = heading(frame, 1, (size_t)length);
    memcpy(frame + head, text, (size_t)length);
    size_t whole = head + (size_t)length;
    if (!by_turn) {
        to_all(frame, whole);
        return;
    }
    if (turn_size + whole > turn_room)
        turn_bytes = need(realloc(turn_bytes, turn_room = 2 * (turn_size + whole)));
    memcpy(turn_bytes + turn_size, frame, whole);
    turn_size += whole;
}

/* ---- receiving ---- */

static size_t frames(Client *c, uint8_t *data, size_t size) {
    uint8_t *p = data, *end = data + size;
    while (end - p >= 6) {
        size_t head = 6, length = p[1] & 127;
        if (length == 126) {
            if (end - p < 8) break;
            head = 8;
            length = (size_t)p[2] << 8 | p[3];
        }
        if (!(p[1] & 128) || length > LARGEST) { /* 127 is above that, too */
            drop(c);
            return size;
        }
        if ((size_t)(end - p) < head + length) break;
        uint8_t *key = p + head - 4, *payload = p + head;
        uint32_t half;
        memcpy(&half, key, 4);
        uint64_t mask = half | (uint64_t)half << 32;
        size_t i = 0;
        for (; i + 8 <= length; i += 8) {
            uint64_t word;
            memcpy(&word, payload + i, 8);
            word ^= mask;
            memcpy(payload + i, &word, 8);
        }
        for (; i < length; i++) payload[i] ^= key[i % 4];
        uint8_t first = p[0];
        p = payload + length;
        if (first == 0x81) {
            talk(c, (char *)payload, length);
        } else if (first == 0x89 && length < 126) {
            uint8_t pong[130];
            size_t h = heading(pong, 10, length);
            memcpy(pong + h, payload, length);
            push(c, pong, h + length);
        } else if (first != 0x8a) {
            drop(c);
        }
        if (c->gone) return size;
    }
    return (size_t)(p - data);
}

static size_t handshake(Client *c, uint8_t *data, size_t size) {
    uint8_t *end = memmem(data, size, "\r\n\r\n", 4);
    if (!end) return 0;
    *end = 0;
    char *key = strcasestr((char *)data, "\r\nSec-WebSocket-Key:");
    if (!key) {
        drop(c);
        return size;
    }
    key += 20;
    key += strspn(key, " \t");
    char source[100], answer[40], response[200];
    uint8_t digest[20];
    int length = snprintf(source, sizeof source, "%.*s258EAFA5-E914-47DA-95CA-C5AB0DC85B11",
                          (int)strcspn(key, " \t\r\n") & 63, key);
    sha1((uint8_t *)source, (size_t)length, digest);
    base64(digest, 20, answer);
    length = snprintf(response, sizeof response,
                      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                      "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                      answer);
    if (!push(c, (uint8_t *)response, (size_t)length)) return size;
    if (client_count == client_room)
        clients = need(realloc(clients, (client_room = 2 * client_room + 64) * sizeof *clients));
    c->place = client_count;
    clients[client_count++] = c;
    c->open = true;
    return (size_t)(end + 4 - data);
}

static void receive(Client *c) {
    size_t kept = c->rest_size;
    if (kept) memcpy(buffer, c->rest, kept);
    ssize_t got = recv(c->fd, buffer + kept, BUFFER, 0);
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN) drop(c);
        return;
    }
    size_t size = kept + (size_t)got, used = 0;
    if (!c->open) used = handshake(c, buffer, size);
    if (c->open && !c->gone) used += frames(c, buffer + used, size - used);
    if (c->gone) return;
    size_t left = c->rest_size = size - used;
    if (left > LARGEST + 14) {
        drop(c);
    } else if (left) {
        if (left > c->rest_room) c->rest = need(realloc(c->rest, c->rest_room = 2 * left));
        memcpy(c->rest, buffer + used, left);
    } else if (c->rest) {
        free(c->rest);
        c->rest = NULL;
        c->rest_room = 0;
    }
}

static void answer(int door) {
    static int next_id;
    int one = 1, fd;
    while ((fd = accept4(door, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        Client *c = need(calloc(1, sizeof *c));
        c->fd = fd;
        c->id = ++next_id;
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        if (epoll_ctl(watched, EPOLL_CTL_ADD, fd, &event)) fail("epoll_ctl");
    }
}

int main(int count, char **texts) {
    if (count != 3 || (strcmp(texts[2], "send") && strcmp(texts[2], "turn"))) {
        fprintf(stderr, "usage: turn PORT send|turn\n");
        return 2;
    }
    by_turn = !strcmp(texts[2], "turn");
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    int door = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(texts[1])),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(door, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(door, (struct sockaddr *)&here, sizeof here) || listen(door, 4096)) fail("listen");
    buffer = need(malloc(2 * BUFFER + LARGEST));
    watched = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(watched, EPOLL_CTL_ADD, door, &event);
    for (;;) {
        struct epoll_event events[1024];
        int ready = epoll_wait(watched, events, 1024, -1);
        for (int i = 0; i < ready; i++) {
            Client *c = events[i].data.ptr;
            if (!c) answer(door);
            if (!c || c->gone) continue;
            if (events[i].events & EPOLLOUT) push_on(c);
            if (!c->gone && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive(c);
        }
        if (turn_size) to_all(turn_bytes, turn_size);
        turn_size = 0;
        while (gone_count) {
            Client *c = gone[--gone_count];
            free(c->rest);
            free(c->out);
            free(c);
        }
    }
}
