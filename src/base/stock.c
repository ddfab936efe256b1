/* Stocks: see stock.h. */
#include "base/stock.h"

struct stock_block *stock_rest(struct stock *stock)
{
    uint32_t kept = stock->resting_count / 2;
    struct stock_block **end = &stock->resting;
    for (uint32_t i = 0; i < kept; i++)
        end = &(*end)->next;
    struct stock_block *given_back = *end;
    *end = NULL;
    stock->count -= stock->resting_count - kept;

    struct stock_block **last = &stock->free;
    while (*last)
        last = &(*last)->next;
    *last = stock->resting;
    stock->resting = stock->free;
    stock->free = NULL;
    stock->resting_count = stock->count;
    return given_back;
}
