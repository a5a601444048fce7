/* What meterctl stripe setup did, or would do. */
#ifndef METERLINE_CTL_SETUP_REPORT_H
#define METERLINE_CTL_SETUP_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* One line: "create price standard", or, done, "created price standard price_1"; and why. */
void setup_report_step(FILE *out, const json_t *step, bool done);

/* only_plan: a line for each step that is to do. In any case what a person should know, and how
 * many steps there are of each action. */
void setup_report(FILE *out, const json_t *steps, bool only_plan);

/* On standard output, the ids as variables: STRIPE_PRICE_LLM_TOKENS_STANDARD=price_1. */
void setup_report_env(const json_t *steps);

/* Steps of an action. */
int setup_report_count(const json_t *steps, const char *action);

#endif
