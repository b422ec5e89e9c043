#include <linux/mm.h>
pte = pte_mkdirty(pte);
