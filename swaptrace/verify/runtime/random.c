/* Random numbers: the same as those of the replay, bit for bit. */

enum { ACCESS_STREAM, HOT_STREAM, ORDER_STREAM };

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9U;
	x = (x ^ x >> 27) * 0x94d049bb133111ebU;
	return x ^ x >> 31;
}

static uint64_t draw(uint64_t seed, int stream, uint64_t number)
{
	const uint64_t golden = 0x9e3779b97f4a7c15U;

	return mix(mix(seed + stream * golden) + (number + 1) * golden);
}

/* A number below a bound, by the upper half of a draw. */
static uint64_t below(uint64_t drawn, uint64_t bound)
{
	return (drawn >> 32) * bound >> 32;
}

/* Whether the draw of one number comes after that of another. */
static bool later(uint64_t seed, uint32_t one, uint32_t other)
{
	uint64_t first = draw(seed, ORDER_STREAM, other), second = draw(seed, ORDER_STREAM, one);

	return second > first || (second == first && one > other);
}

static void sift_down(size_t at, size_t count, uint64_t seed)
{
	uint32_t sifted = shuffled[at];

	for (size_t child; (child = 2 * at + 1) < count; at = child) {
		if (child + 1 < count && later(seed, shuffled[child + 1], shuffled[child]))
			child++;
		if (!later(seed, shuffled[child], sifted))
			break;
		shuffled[at] = shuffled[child];
	}
	shuffled[at] = sifted;
}

/* 0 to count - 1 sorted by their draws: a heap sort, which needs no memory of its own. */
static void shuffle(size_t count, uint64_t seed)
{
	for (size_t i = 0; i < count; i++)
		shuffled[i] = i;
	for (size_t i = count / 2; i-- > 0;)
		sift_down(i, count, seed);
	for (size_t i = count; i-- > 1;) {
		uint32_t last = shuffled[i];

		shuffled[i] = shuffled[0];
		shuffled[0] = last;
		sift_down(0, i, seed);
	}
}

/* Powers by + - * / alone, for what libm gives differs between machines. */

static const double ln2 = 0.6931471805599453;

static double log2_of(double x)
{
	int shift;
	double mantissa = frexp(x, &shift);
	double t = (mantissa * 2.0 - 1.0) / (mantissa * 2.0 + 1.0);
	double square = t * t, total = 0.0;

	for (int term = 33; term > 0; term -= 2)
		total = total * square + 1.0 / term;
	return total * t * 2.0 / ln2 + (shift - 1.0);
}

/* 2^x, of an x that is not positive */
static double exp2_of(double x)
{
	int whole = (int)x - ((int)x > x);
	double t = (x - whole) * ln2, total = 1.0;

	for (int term = 20; term > 0; term--)
		total = total * t / term + 1.0;
	return ldexp(total, whole);
}

/* The weights of the ranks 1 to count, added up. */
static void weigh(size_t count, double exponent)
{
	double total = 0.0;

	for (size_t i = 0; i < count; i++)
		weights[i] = total += exp2_of(log2_of(i + 1) * -exponent);
}

/* The rank, from 0, whose share of the weights a draw falls into. */
static size_t ranked(uint64_t drawn, size_t count)
{
	size_t low = 0, high = count - 1;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if ((uint64_t)(weights[middle] / weights[count - 1] * 0x1p53) <= drawn >> 11)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}
