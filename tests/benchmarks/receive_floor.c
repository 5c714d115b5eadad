/* The floor that the probe's receive path is measured against: recvmmsg with the same metadata, only counting.
 *
 *   receive_floor GROUP PORT INTERFACE_ADDRESS SECONDS
 *
 * Joins the IPv4 group, says "ready" on standard error, receives for so long, then prints
 * {"datagrams": n, "cpu_seconds": s, "drops": d}: user and system time of this process while it received.
 * Receive-only, like the probe.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 128, LONGEST = 65536, CONTROL = 128, BUFFER = 4 << 20 };

static struct mmsghdr heads[BATCH];
static struct iovec pieces[BATCH];
static struct sockaddr_in names[BATCH];
static char controls[BATCH][CONTROL];

static double cpu_seconds(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e-6;
}

static double monotonic(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec * 1e-9;
}

static void option(int fd, int level, int name, int value)
{
    if (setsockopt(fd, level, name, &value, sizeof value) < 0) {
        perror("setsockopt");
        exit(1);
    }
}

static int joined(const char *group, int port, const char *interface)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    int size = BUFFER;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct ip_mreqn membership = {0};
    inet_pton(AF_INET, group, &at.sin_addr);
    membership.imr_multiaddr = at.sin_addr;
    inet_pton(AF_INET, interface, &membership.imr_address);
    option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    option(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1);
    option(fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
    option(fd, IPPROTO_IP, IP_PKTINFO, 1);
    option(fd, IPPROTO_IP, IP_RECVTTL, 1);
    option(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0);
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0)
        option(fd, SOL_SOCKET, SO_RCVBUF, size);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0 ||
        setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &membership, sizeof membership) < 0) {
        perror(group);
        exit(1);
    }
    return fd;
}

static unsigned dropped(const struct msghdr *head)
{
    unsigned drops = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(head); c; c = CMSG_NXTHDR((struct msghdr *)head, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL)
            memcpy(&drops, CMSG_DATA(c), sizeof drops);
    return drops;
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: %s GROUP PORT INTERFACE_ADDRESS SECONDS\n", argv[0]);
        return 2;
    }
    int fd = joined(argv[1], atoi(argv[2]), argv[3]);
    char *space = malloc((size_t)BATCH * LONGEST);
    for (int i = 0; i < BATCH; i++) {
        pieces[i] = (struct iovec){space + (size_t)i * LONGEST, LONGEST};
        heads[i].msg_hdr = (struct msghdr){
            .msg_name = &names[i], .msg_iov = &pieces[i], .msg_iovlen = 1, .msg_control = controls[i]};
    }
    fprintf(stderr, "ready\n");
    unsigned long long datagrams = 0;
    unsigned drops = 0;
    double started = cpu_seconds(), until = monotonic() + atof(argv[4]);
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    for (double left; (left = until - monotonic()) > 0;) {
        if (poll(&waiting, 1, (int)(left * 1000) + 1) <= 0)
            continue;
        int got;
        do {
            for (int i = 0; i < BATCH; i++) {
                heads[i].msg_hdr.msg_namelen = sizeof names[i];
                heads[i].msg_hdr.msg_controllen = CONTROL;
            }
            got = recvmmsg(fd, heads, BATCH, MSG_DONTWAIT, NULL);
            if (got > 0) {
                datagrams += got;
                drops = dropped(&heads[got - 1].msg_hdr);
            }
        } while (got == BATCH);
    }
    printf("{\"datagrams\": %llu, \"cpu_seconds\": %.6f, \"drops\": %u}\n", datagrams, cpu_seconds() - started, drops);
    return 0;
}
