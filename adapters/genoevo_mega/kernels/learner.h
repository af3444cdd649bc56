/* What the learner does beside networks; optimizers.py, distribution.py and value.py in agents are the definitions. */

/* One parameter of an optimizer, its gradient, Adam's moments and number of steps. */
typedef struct {
    Size size;
    float *parameter, *gradient, *mean, *square, *steps;
} Optimized;

/* A step of AdamW on the gradient, scaled down to the norm *clip*; returns the norm before. A gradient that is not
 * finite changes nothing. */
double adam(Size count, const Optimized *all, double rate, double decay, double clip, double of_mean,
            double of_square, double epsilon)
{
    double total = 0;
    for (Size k = 0; k < count; k++)
        for (Size begin = 0; begin < all[k].size; begin += 4096) {
            const Size size = all[k].size - begin < 4096 ? all[k].size - begin : 4096;
            const float *g = all[k].gradient + begin;
            float part = 0;
            EACH(i, size) part += g[i] * g[i];
            total += part;
        }
    const double norm = sqrt(total), limit = clip / (norm + 1e-6);
    if (!isfinite((float)norm)) return norm;
    const float scale = limit < 1 ? (float)limit : 1, kept = (float)(1 - rate * decay), small = (float)epsilon;
    const float mean_left = (float)(1 - of_mean), square_kept = (float)of_square, square_left = (float)(1 - of_square);
    for (Size k = 0; k < count; k++) {
        const Optimized *one = all + k;
        const double steps = ++*one->steps;
        const float size_of_step = (float)(rate / (1 - pow(of_mean, steps)));
        const float of_root = (float)(1 / sqrt(1 - pow(of_square, steps)));
        float *p = one->parameter, *mean = one->mean, *square = one->square;
        const float *gradient = one->gradient;
        EACH(i, one->size)
        {
            const float g = scale * gradient[i];
            mean[i] += mean_left * (g - mean[i]);
            square[i] = square_kept * square[i] + square_left * g * g;
            p[i] = kept * p[i] - size_of_step * mean[i] / (sqrtf(square[i]) * of_root + small);
        }
    }
    return norm;
}

typedef struct {
    Size size;
    float *average, *parameter;
} Averaged;

/* Move averages towards parameters by *share* of the way; with 1 they are equal. */
void polyak(Size count, const Averaged *all, float share)
{
    for (Size k = 0; k < count; k++) {
        float *average = all[k].average;
        const float *p = all[k].parameter;
        if (share < 0.5f)
            EACH(i, all[k].size) average[i] += share * (p[i] - average[i]);
        else
            EACH(i, all[k].size) average[i] = p[i] - (1 - share) * (p[i] - average[i]);
    }
}

static inline float clamped(float x, float least, float most) { return x < least ? least : x > most ? most : x; }

/* exp(x) for x <= 80 in operations that loops can do for all lanes at once: within a millionth of its value if the
 * processor has a fused multiply-add, else within five. */
static inline float exponential(float x)
{
    x = x < -87 ? -87 : x;
    const float whole = floorf(x * 1.44269504f + 0.5f), rest = x - whole * 0.693147181f;
    float sum = 1.9875691500e-4f;
    sum = sum * rest + 1.3981999507e-3f;
    sum = sum * rest + 8.3334519073e-3f;
    sum = sum * rest + 4.1665795894e-2f;
    sum = sum * rest + 1.6666665459e-1f;
    sum = sum * rest + 5.0000001201e-1f;
    sum = sum * rest * rest + rest + 1;
    union {
        int32_t bits;
        float value;
    } power = {.bits = ((int32_t)whole + 127) << 23};
    return sum * power.value;
}

/* log(1 + x) for x in [0, 1], in such operations: a series of x / (2 + x), which is a third at most. */
static inline float log_of_one_and(float x)
{
    const float s = x / (2 + x), square = s * s;
    float sum = 1 / 13.0f;
    sum = sum * square + 1 / 11.0f;
    sum = sum * square + 1 / 9.0f;
    sum = sum * square + 1 / 7.0f;
    sum = sum * square + 1 / 5.0f;
    sum = sum * square + 1 / 3.0f;
    return 2 * (sum * square * s + s);
}

#define TOGETHER 256

/* Actions (rows, size) and their log probabilities (rows,) of an actor's output (rows, 2 size) and noise. */
void squashed(Size rows, Size size, const float *output, const float *noise, float least, float most, float *action,
              float *log_probability)
{
    float mean[TOGETHER], spread[TOGETHER], term[TOGETHER];
    Size row = 0, column = 0, row_done = 0, column_done = 0;
    fill(log_probability, 0, rows);
    for (Size begin = 0; begin < rows * size; begin += TOGETHER) {
        const Size count = rows * size - begin < TOGETHER ? rows * size - begin : TOGETHER;
        for (Size i = 0; i < count; i++) {
            const float *of_row = output + row * 2 * size + column;
            mean[i] = of_row[0], spread[i] = clamped(of_row[size], least, most);
            if (++column == size) column = 0, row++;
        }
        EACH(i, count)
        {
            const float e = noise[begin + i], raw = mean[i] + exponential(spread[i]) * e, far = fabsf(raw);
            const float fading = exponential(-2 * far), ratio = (1 - fading) / (1 + fading);
            /* log(1 - tanh(raw)^2), of both signs; the action is within rounding of 1, however small it is */
            const float squash = 2 * (0.693147181f - far - log_of_one_and(fading));
            /* What is not finite has no log probability: the exponential would hide it. */
            term[i] = -0.5f * e * e - spread[i] - 0.918938533f - squash + 0 * raw;
            action[begin + i] = raw < 0 ? -ratio : ratio;
        }
        for (Size i = 0; i < count; i++) {
            log_probability[row_done] += term[i];
            if (++column_done == size) column_done = 0, row_done++;
        }
    }
}

void through_squashed(Size rows, Size size, const float *output, const float *noise, float least, float most,
                      const float *action, const float *of_action, const float *of_log_probability, float *of_output)
{
    for (Size row = 0; row < rows; row++) {
        const float *log_std = output + (row * 2 + 1) * size;
        float *of_mean = of_output + row * 2 * size, *of_log_std = of_mean + size;
        for (Size i = row * size, j = 0; j < size; i++, j++) {
            const float a = action[i], of_raw = of_action[i] * (1 - a * a) + of_log_probability[row] * 2 * a;
            const int free = log_std[j] >= least && log_std[j] <= most;
            of_mean[j] = of_raw;
            of_log_std[j] = free ? of_raw * exponential(log_std[j]) * noise[i] - of_log_probability[row] : 0;
        }
    }
}

/* Probabilities (rows, bins) of outputs, the mean (rows,) of the numbers (bins,), and log(sum(exp(output))). */
void categorical(Size rows, Size bins, const float *output, const float *numbers, float *probability, float *value,
                 float *log_sum)
{
    for (Size row = 0; row < rows; row++, output += bins, probability += bins) {
        const float top = largest(output, bins);
        float sum = 0, mean = 0, not_finite = 0;
        EACH(i, bins)
        {
            const float p = exponential(output[i] - top);
            probability[i] = p;
            sum += p;
            mean += p * numbers[i];
            not_finite += output[i] - output[i]; /* else the exponential would hide it */
        }
        const float share = 1 / (sum + not_finite);
        EACH(i, bins) probability[i] *= share;
        value[row] = mean * share;
        log_sum[row] = top + logf(sum) + not_finite;
    }
}

/* of_output = of_value * d value / d output */
void through_value(Size rows, Size bins, const float *probability, const float *numbers, const float *value,
                   const float *of_value, float *of_output)
{
    for (Size row = 0; row < rows; row++, probability += bins, of_output += bins) {
        const float mean = value[row], factor = of_value[row];
        EACH(i, bins) of_output[i] = factor * probability[i] * (numbers[i] - mean);
    }
}

/* loss (members, rows) of outputs (members, rows, bins) for a target distribution (rows, bins). */
void cross_entropy(Size members, Size rows, Size bins, const float *output, const float *log_sum, const float *goal,
                   float *loss)
{
    for (Size all = 0; all < members * rows; all++, output += bins) {
        const float *own = goal + all % rows * bins;
        float sum = 0;
        EACH(i, bins) sum += own[i] * output[i];
        loss[all] = log_sum[all] - sum;
    }
}

/* A task that is masked has a gradient of 0, whatever its numbers are. */
void through_cross_entropy(Size members, Size rows, Size bins, const float *probability, const float *goal,
                           const float *of_loss, float *of_output)
{
    for (Size all = 0; all < members * rows; all++, probability += bins, of_output += bins) {
        const float *own = goal + all % rows * bins, factor = of_loss[all];
        if (factor == 0)
            fill(of_output, 0, bins);
        else
            EACH(i, bins) of_output[i] = factor * (probability[i] - own[i]);
    }
}
