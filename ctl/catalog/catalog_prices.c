/* What the catalog file says of money: unit prices, what a plan costs without usage, the tax. */
#include "common/currency.h"
#include "ctl/catalog/catalog_parse.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    TRIAL_MAX_DAYS = 730,
    TAX_NAME_MAX_BYTES = 50
}; /* Stripe: two years; tax_rates[display_name] */

#define PRICE_UNIT 1000000000000LL /* one, with the twelve digits of a unit price */

static dec_int greatest_common_divisor(dec_int a, dec_int b)
{
    while (b != 0) {
        dec_int rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static void format_price(dec_int scaled, char out[CATALOG_PRICE_SIZE])
{
    int64_t whole = (int64_t)(scaled / PRICE_UNIT);
    int64_t part = (int64_t)(scaled % PRICE_UNIT);
    int length = snprintf(out, CATALOG_PRICE_SIZE, "%" PRId64 ".%012" PRId64, whole, part);
    while (out[length - 1] == '0')
        out[--length] = '\0';
    if (out[length - 1] == '.')
        out[length - 1] = '\0';
}

/* In lowest terms, amount / per ends within twelve digits exactly if per divides 10^12. */
int catalog_unit_price(struct dec amount, struct dec per, char out[CATALOG_PRICE_SIZE])
{
    assert(per.scaled > 0);
    dec_int divisor = greatest_common_divisor(amount.scaled, per.scaled);
    dec_int over = amount.scaled / divisor;
    dec_int under = per.scaled / divisor;
    if (PRICE_UNIT % under != 0)
        return -1;
    dec_int factor = PRICE_UNIT / under;
    if (over > ((dec_int)PRICE_UNIT * PRICE_UNIT - 1) / factor)
        return -1;
    format_price(over * factor, out);
    return 0;
}

void catalog_parse_unit_price(struct check *c, const struct path *at, json_t *item, json_t *row,
                              const char *column)
{
    char price[CATALOG_PRICE_SIZE];
    struct path per_at = path_key(at, "per");
    struct dec amount;
    struct dec per;
    bool has_amount = check_decimal(c, at, item, "amount_minor", &amount);
    if (!check_decimal(c, at, item, "per", &per) || !has_amount)
        return;
    if (dec_is_zero(per))
        check_fault(c, &per_at, "must be above 0");
    else if (catalog_unit_price(amount, per, price))
        check_fault(
            c, at,
            "the price of one unit must be exact with 12 digits before and 12 behind the point");
    else
        check_set_text(row, column, price);
}

/* An amount that is charged. With CHECK_OPTIONAL it is NULL where it is absent. */
static void parse_amount(struct check *c, const struct path *at, const json_t *item,
                         const char *key, enum check_need need, json_t *row, const char *column)
{
    struct path p = path_key(at, key);
    const char *currency = json_string_value(json_object_get(row, "currency"));
    if (need == CHECK_OPTIONAL && !json_object_get(item, key)) {
        json_object_set_new(row, column, json_null());
        return;
    }
    int64_t amount = check_whole(c, at, item, key);
    int64_t step = currency ? currency_step(currency) : 1;
    if (amount % step != 0)
        check_fault(c, &p, "must be a multiple of %" PRId64 ": Stripe charges no less of %s", step,
                    currency);
    json_object_set_new(row, column, json_integer(amount));
}

static bool is_given(const json_t *item, const char *key)
{
    return json_object_get(item, key) != NULL;
}

/* What is agreed with each customer anew. */
static void refuse_fees(struct check *c, const struct path *at, const json_t *item)
{
    static const char *const KEYS[] = {"base_amount_minor", "yearly_amount_minor", "seat",
                                       "trial_days", "stripe_lookup_key"};
    for (size_t i = 0; i < sizeof KEYS / sizeof *KEYS; i++) {
        struct path p = path_key(at, KEYS[i]);
        if (is_given(item, KEYS[i]))
            check_fault(c, &p, "is not for a custom plan, which is sold by hand");
    }
}

static void parse_seat(struct check *c, const struct path *at, const json_t *item, json_t *row)
{
    static const char *const KEYS[] = {"amount_minor", "yearly_amount_minor", NULL};
    struct path p = path_key(at, "seat");
    json_t *seat = json_object_get(item, "seat");
    if (seat && check_object(c, &p, seat)) {
        check_keys(c, &p, seat, KEYS);
        parse_amount(c, &p, seat, "amount_minor", CHECK_REQUIRED, row, "seat_amount_minor");
        parse_amount(c, &p, seat, "yearly_amount_minor", CHECK_OPTIONAL, row,
                     "yearly_seat_amount_minor");
    }
}

/* A year is sold for the base amount and for seats, where the plan has both. */
static void check_yearly(struct check *c, const struct path *at, const json_t *item,
                         const json_t *row)
{
    struct path base = path_key(at, "yearly_amount_minor");
    struct path seat_at = path_key(at, "seat");
    struct path seats = path_key(&seat_at, "yearly_amount_minor");
    const json_t *seat = json_object_get(item, "seat");
    const char *interval = json_string_value(json_object_get(row, "billing_interval"));
    bool has_base = is_given(item, "yearly_amount_minor");
    bool has_seats = is_given(seat, "yearly_amount_minor");
    if ((has_base || has_seats) && interval && strcmp(interval, "month") != 0)
        check_fault(c, has_base ? &base : &seats, "needs a plan whose interval is month");
    if (has_seats && !has_base && json_integer_value(json_object_get(item, "base_amount_minor")))
        check_fault(c, &base, "is missing: seat.yearly_amount_minor is there");
    if (has_base && seat && !has_seats)
        check_fault(c, &seats, "is missing: yearly_amount_minor is there");
}

static void parse_trial(struct check *c, const struct path *at, const json_t *item, json_t *row)
{
    struct path p = path_key(at, "trial_days");
    int64_t days = is_given(item, "trial_days") ? check_whole(c, at, item, "trial_days") : 0;
    if (days > TRIAL_MAX_DAYS)
        check_fault(c, &p, "must be at most %d", TRIAL_MAX_DAYS);
    json_object_set_new(row, "trial_days", json_integer(days));
}

void catalog_parse_fees(struct check *c, const struct path *at, json_t *item, json_t *row)
{
    bool custom = check_bool(c, at, item, "custom");
    json_object_set_new(row, "custom", json_boolean(custom));
    json_object_set_new(row, "base_amount_minor", json_integer(0));
    json_object_set_new(row, "trial_days", json_integer(0));
    json_object_set_new(row, "yearly_amount_minor", json_null());
    json_object_set_new(row, "seat_amount_minor", json_null());
    json_object_set_new(row, "yearly_seat_amount_minor", json_null());
    if (custom) {
        refuse_fees(c, at, item);
        return;
    }
    parse_amount(c, at, item, "base_amount_minor", CHECK_REQUIRED, row, "base_amount_minor");
    parse_amount(c, at, item, "yearly_amount_minor", CHECK_OPTIONAL, row, "yearly_amount_minor");
    parse_seat(c, at, item, row);
    check_yearly(c, at, item, row);
    parse_trial(c, at, item, row);
}

/* Stripe: tax_rates[percentage], up to four digits behind the point. */
static void parse_percentage(struct check *c, const struct path *at, const json_t *tax, json_t *row)
{
    char text[DEC_TEXT_SIZE];
    struct path p = path_key(at, "percentage");
    struct dec percentage;
    if (!check_decimal(c, at, tax, "percentage", &percentage))
        return;
    if (percentage.scaled > (dec_int)100 * DEC_UNIT || percentage.scaled % (DEC_UNIT / 10000) != 0)
        check_fault(c, &p, "must be at most 100, with at most 4 digits behind the point");
    dec_format(percentage, text);
    check_set_text(row, "percentage", text);
}

void catalog_parse_tax(struct check *c, json_t *tax, json_t *rows)
{
    static const char *const KEYS[] = {"name", "percentage", "inclusive", NULL};
    struct path at = path_key(NULL, "tax");
    if (!tax || !check_object(c, &at, tax))
        return;
    json_t *row = json_object();
    check_keys(c, &at, tax, KEYS);
    check_set_text(row, "display_name",
                   check_text(c, &at, tax, "name", TAX_NAME_MAX_BYTES, CHECK_REQUIRED));
    parse_percentage(c, &at, tax, row);
    json_object_set_new(row, "inclusive", json_boolean(check_bool(c, &at, tax, "inclusive")));
    json_array_append_new(rows, row);
}
