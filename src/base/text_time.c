#include "base/text.h"

#include <stdio.h>
#include <string.h>

/* Days are counted in the proleptic Gregorian calendar, in eras of 400 years (146,097 days) that begin on 1 March, so
 * that the day that is sometimes there is the last of its year. */
enum { ERA_DAYS = 146097, DAYS_TO_1970 = 719468 };
#define DAY_MS     INT64_C(86400000)
#define HOUR_MS    INT64_C(3600000)
#define MINUTE_MS  INT64_C(60000)
#define FIRST_MS   (-INT64_C(62167219200000)) /* 0000-01-01T00:00:00.000Z */
#define LAST_MS    INT64_C(253402300799999)   /* 9999-12-31T23:59:59.999Z */
#define LONGEST_MS (INT64_C(3653) * DAY_MS)   /* 10 years */

static int64_t days_of_date(int64_t year, unsigned month, unsigned day) {
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * ERA_DAYS + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - DAYS_TO_1970;
}

static void date_of_days(int64_t days, int *ret_year, unsigned *ret_month, unsigned *ret_day) {
    days += DAYS_TO_1970;
    int64_t era = (days >= 0 ? days : days - (ERA_DAYS - 1)) / ERA_DAYS;
    int64_t day_of_era = days - era * ERA_DAYS;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / (ERA_DAYS - 1)) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153;
    *ret_day = (unsigned)(day_of_year - (153 * month + 2) / 5 + 1);
    *ret_month = (unsigned)(month < 10 ? month + 3 : month - 9);
    *ret_year = (int)(year_of_era + era * 400 + (*ret_month <= 2));
}

void text_time(int64_t unix_ms, char out[TEXT_TIME_BYTES]) {
    if (unix_ms < FIRST_MS)
        unix_ms = FIRST_MS;
    if (unix_ms > LAST_MS)
        unix_ms = LAST_MS;
    int64_t days = unix_ms / DAY_MS - (unix_ms % DAY_MS < 0);
    unsigned ms = (unsigned)(unix_ms - days * DAY_MS);
    int year;
    unsigned month, day;
    date_of_days(days, &year, &month, &day);
    snprintf(out, TEXT_TIME_BYTES, "%04d-%02u-%02uT%02u:%02u:%02u.%03uZ", year, month, day, ms / 3600000,
             ms / 60000 % 60, ms / 1000 % 60, ms % 1000);
}

/* Compares with a pattern in which 0 stands for any digit. */
static int fits(const char *text, const char *pattern) {
    for (; *pattern; text++, pattern++)
        if (*pattern == '0' ? *text < '0' || *text > '9' : *text != *pattern)
            return 0;
    return *text == '\0';
}

static unsigned digits(const char *text, int count) {
    unsigned value = 0;
    for (int i = 0; i < count; i++)
        value = value * 10 + (unsigned)(text[i] - '0');
    return value;
}

static unsigned days_in_month(unsigned year, unsigned month) {
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return month == 2 && is_leap ? 29 : days[month - 1];
}

int text_to_time(const char *text, int64_t *ret_unix_ms) {
    int has_ms = fits(text, "0000-00-00T00:00:00.000Z");
    if (!has_ms && !fits(text, "0000-00-00T00:00:00Z"))
        return -1;
    unsigned year = digits(text, 4), month = digits(text + 5, 2), day = digits(text + 8, 2);
    unsigned hour = digits(text + 11, 2), minute = digits(text + 14, 2), second = digits(text + 17, 2);
    if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month))
        return -1;
    if (hour > 23 || minute > 59 || second > 59)
        return -1;
    *ret_unix_ms = days_of_date(year, month, day) * DAY_MS + hour * HOUR_MS + minute * MINUTE_MS + second * 1000 +
                   (has_ms ? digits(text + 20, 3) : 0);
    return 0;
}

static const struct unit {
    const char *name;
    int64_t ms;
} units[] = {{"d", DAY_MS}, {"h", HOUR_MS}, {"m", MINUTE_MS}, {"s", 1000}, {"ms", 1}};
enum { UNITS = sizeof units / sizeof units[0], SECONDS = 3 };

/* Reads "12" or "1.5" in thousand-millionths, and moves *text behind it. */
static int read_amount(const char **text, int64_t *ret_whole, int64_t *ret_billionths) {
    const char *at = *text;
    int64_t whole = 0, part = 0;
    for (; *at >= '0' && *at <= '9'; at++) {
        whole = whole * 10 + (*at - '0');
        if (whole > LONGEST_MS)
            return -1;
    }
    if (at == *text)
        return -1;
    if (*at == '.') {
        int64_t place = 100000000;
        for (at++; *at >= '0' && *at <= '9' && place > 0; at++, place /= 10)
            part += (*at - '0') * place;
        if (at[-1] == '.')
            return -1;
    }
    *text = at;
    *ret_whole = whole;
    *ret_billionths = part;
    return 0;
}

/* Which unit stands at *text (its index), or -1; moves *text behind it. */
static int read_unit(const char **text) {
    size_t length = strspn(*text, "dhms");
    for (int i = 0; i < UNITS; i++)
        if (strlen(units[i].name) == length && strncmp(*text, units[i].name, length) == 0) {
            *text += length;
            return i;
        }
    return -1;
}

/* One amount with its unit, or several with falling units ("1h30m", "3h 5m"), so that what text_duration writes can be
 * read. */
int text_to_duration_ms(const char *text, int64_t *ret_ms) {
    int64_t total = 0;
    int last_unit = -1;
    do {
        int64_t whole, part;
        if (last_unit >= 0 && *text == ' ')
            text++;
        if (read_amount(&text, &whole, &part) < 0)
            return -1;
        int unit = *text == '\0' && last_unit < 0 ? SECONDS : read_unit(&text);
        if (unit <= last_unit || whole > LONGEST_MS / units[unit].ms)
            return -1;
        total += whole * units[unit].ms + part * units[unit].ms / 1000000000;
        last_unit = unit;
    } while (*text);
    if (total > LONGEST_MS)
        return -1;
    *ret_ms = total;
    return 0;
}

/* Adds " 5m" behind what is there. */
static char *add_part(char *at, const char *start, const char *end, uint64_t value, const char *unit) {
    if (value == 0)
        return at;
    return at + snprintf(at, (size_t)(end - at), "%s%llu%s", at > start ? " " : "", (unsigned long long)value, unit);
}

void text_duration(int64_t ms, char out[TEXT_TIME_BYTES]) {
    char *end = out + TEXT_TIME_BYTES, *at = out;
    uint64_t left = ms < 0 ? -(uint64_t)ms : (uint64_t)ms;
    if (ms < 0)
        *at++ = '-';
    const char *start = at;
    at = add_part(at, start, end, left / (uint64_t)DAY_MS, "d");
    at = add_part(at, start, end, left / (uint64_t)HOUR_MS % 24, "h");
    at = add_part(at, start, end, left / (uint64_t)MINUTE_MS % 60, "m");
    unsigned seconds = (unsigned)(left / 1000 % 60), rest = (unsigned)(left % 1000);
    if (rest == 0 || (seconds == 0 && at == start)) {
        at = add_part(at, start, end, seconds, "s");
        at = add_part(at, start, end, rest, "ms");
    } else {
        char fraction[8];
        snprintf(fraction, sizeof fraction, ".%03u", rest);
        fraction[strlen(fraction) - (rest % 100 == 0 ? 2 : rest % 10 == 0)] = '\0';
        at += snprintf(at, (size_t)(end - at), "%s%u%ss", at > start ? " " : "", seconds, fraction);
    }
    if (at == start)
        snprintf(at, (size_t)(end - at), "0s");
}
