#include "ctl/terminal/terminal.h"

#include "common/str.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

/* Control sequences of xterm, https://invisible-island.net/xterm/ctlseqs/ctlseqs.html, that tmux,
 * screen and the Linux console know as well: another screen, no cursor, no wrapping of lines. */
#define ENTER      "\033[?1049h\033[?25l\033[?7l\033[2J"
#define LEAVE      "\033[?7h\033[?25h\033[?1049l"
#define HOME       "\033[H"
#define CLEAR_LINE "\033[K"
#define CLEAR_REST "\033[J"

enum { LINES_USUAL = 24, COLUMNS_USUAL = 80, COLUMNS_LEAST = 20, LINES_LEAST = 4 };

volatile sig_atomic_t terminal_ended;

static struct termios before; /* as the terminal was */
static bool have_before;

/* write() and not stdio, since signal handlers use it too. What cannot be written is lost with the
 * terminal. */
static void put(const char *text)
{
    size_t length = strlen(text);
    while (length > 0) {
        ssize_t n = write(STDOUT_FILENO, text, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        text += n;
        length -= (size_t)n;
    }
}

/* Keys are not echoed, and come without Enter. */
static void take_screen(void)
{
    if (have_before) {
        struct termios quiet = before;
        quiet.c_lflag &= ~(tcflag_t)(ECHO | ICANON);
        tcsetattr(STDIN_FILENO, TCSANOW, &quiet);
    }
    put(ENTER);
}

static void give_back(void)
{
    put(LEAVE);
    if (have_before)
        tcsetattr(STDIN_FILENO, TCSANOW, &before);
}

static void on_end(int number)
{
    (void)number;
    terminal_ended = 1;
}

/* Only to interrupt the wait: each painting asks for the size. */
static void on_resize(int number)
{
    (void)number;
}

static void on_stop(int number)
{
    int error = errno;
    (void)number;
    give_back();
    raise(SIGSTOP);
    take_screen();
    errno = error;
}

static void handle(int number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler};
    sigaction(number, &action, NULL);
}

void terminal_open(void)
{
    have_before = tcgetattr(STDIN_FILENO, &before) == 0;
    handle(SIGINT, on_end);
    handle(SIGTERM, on_end);
    handle(SIGHUP, on_end);
    handle(SIGQUIT, on_end);
    handle(SIGWINCH, on_resize);
    handle(SIGTSTP, on_stop);
    take_screen();
}

void terminal_close(void)
{
    give_back();
}

void terminal_size(int *lines, int *columns)
{
    struct winsize size = {0};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0)
        size = (struct winsize){.ws_row = LINES_USUAL, .ws_col = COLUMNS_USUAL};
    *lines = size.ws_row < LINES_LEAST ? LINES_LEAST : size.ws_row;
    *columns = size.ws_col < COLUMNS_LEAST ? COLUMNS_LEAST : size.ws_col;
}

/* One write, so that nothing flickers. */
void terminal_paint(const char *text)
{
    struct buf out = {0};
    buf_add_str(&out, HOME);
    for (; *text; text++) {
        if (*text == '\n')
            buf_add_str(&out, CLEAR_LINE "\r");
        buf_add_char(&out, *text);
    }
    buf_add_str(&out, CLEAR_LINE CLEAR_REST);
    put(out.data);
    buf_done(&out);
}

bool terminal_wait(int ms)
{
    struct pollfd keys = {.fd = have_before ? STDIN_FILENO : -1, .events = POLLIN};
    char key = 0;
    if (terminal_ended || poll(&keys, 1, ms) <= 0)
        return false;
    if (read(STDIN_FILENO, &key, 1) == 1)
        return key == 'q';
    terminal_ended = 1; /* the terminal is gone */
    return false;
}
