/* A terminal that is painted over again and again, on its alternate screen. The shell's screen
 * comes back as it was, however we end, except by SIGKILL. */
#ifndef METERLINE_CTL_TERMINAL_H
#define METERLINE_CTL_TERMINAL_H

#include <signal.h>
#include <stdbool.h>

/* Set by SIGINT, SIGTERM, SIGHUP and SIGQUIT: it is time to end. */
extern volatile sig_atomic_t terminal_ended;

/* Take the screen; SIGTSTP (Ctrl-Z) gives it back until we go on. */
void terminal_open(void);
void terminal_close(void);

void terminal_size(int *lines, int *columns);

/* Text with newlines between its lines, in place of what was there. */
void terminal_paint(const char *text);

/* Wait so long, or until a key is pressed, the window's size has changed, we go on after Ctrl-Z, or
 * a signal ends us. Returns true if the key was q. */
bool terminal_wait(int ms);

#endif
