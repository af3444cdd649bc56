/* The loss of residual critics and its gradient in one call, so that it does not wait for Python's lock.
 * direct.py has the same in single calls; value.py and losses.py are the definitions. */

typedef struct {
    Residual sizes;
    const float *rows, *next_rows; /* (tasks, batch, inputs) */
    const float *flat, *target_flat;
    const float *fixed, *discounts; /* the target (tasks, batch) is fixed + discount * value of the target critics */
    const float *numbers;           /* (outputs,) */
    float *of_flat, *of_rows;       /* of_rows may be null */
    float smoothing, share;         /* smoothing 0 is two-hot; *share* of each loss counts */
    Size minimum;                   /* of the members' values; else their mean */
} CriticStep;

/* What a step keeps beside the passes: outputs, probabilities, a value and a logarithm of every row of all members,
 * and the targets with their distributions. */
static Size critic_rows(const Residual *n) { return n->tasks * n->batch; }

Size critic_memory(const Residual *n)
{
    const Size rows = critic_rows(n), all = n->ensemble * rows;
    return residual_memory(n) + residual_scratch(n) + 2 * all * n->outputs + 2 * all + rows * (1 + n->outputs);
}

/* Probabilities (bins,) of the numbers for a target. */
static void distribution(float target, const float *numbers, Size bins, float smoothing, float *probability)
{
    const float distance = numbers[1] - numbers[0];
    target = clamped(target, numbers[0], numbers[bins - 1]);
    if (smoothing == 0) {
        EACH(i, bins) probability[i] = clamped(1 - fabsf(numbers[i] - target) / distance, 0, 1);
        return;
    }
    const float spread = 1.41421356f * smoothing * distance;
    float first = 0, below = 0;
    for (Size i = 0; i <= bins; i++) {
        const float edge = i < bins ? numbers[i] - distance / 2 : numbers[bins - 1] + distance / 2;
        const float x = (edge - target) / spread;
        /* In fp32 erf is 1 from 4 on; erff takes a while. */
        const float upper = fabsf(x) < 4 ? erff(x) : x < 0 ? -1 : x > 0 ? 1 : x;
        if (i)
            probability[i - 1] = upper - below;
        else
            first = upper;
        below = upper;
    }
    const float share = 1 / (below - first);
    EACH(i, bins) probability[i] *= share;
}

/* One value of each row of all members, in values (rows,). */
static void join(const Residual *n, const float *of_members, Size minimum, float *values)
{
    const Size rows = critic_rows(n);
    memcpy(values, of_members, (size_t)rows * sizeof *values);
    for (Size m = 1; m < n->ensemble; m++)
        EACH(i, rows)
        {
            const float other = of_members[m * rows + i];
            /* What is not a number stays one. */
            values[i] = minimum ? (values[i] < other || values[i] != values[i] ? values[i] : other) : values[i] + other;
        }
    if (!minimum) EACH(i, rows) values[i] /= (float)n->ensemble;
}

/* found: the loss, summed over members and rows, times share; and the sum of all values. */
void critic_step(const CriticStep *s, float *memory, double *found)
{
    const Residual *n = &s->sizes;
    const Size rows = critic_rows(n), all = n->ensemble * rows, bins = n->outputs;
    float *kept = memory, *scratch = kept + residual_memory(n), *out = scratch + residual_scratch(n);
    float *probability = out + all * bins, *value = probability + all * bins, *log_sum = value + all;
    float *target = log_sum + all, *goal = target + rows;

    residual_forward(n, s->next_rows, s->target_flat, kept, out);
    if (bins > 1) categorical(all, bins, out, s->numbers, probability, value, log_sum);
    join(n, bins > 1 ? value : out, s->minimum, target);
    EACH(i, rows) target[i] = s->fixed[i] + s->discounts[i] * target[i];

    residual_forward(n, s->rows, s->flat, kept, out);
    found[0] = found[1] = 0;
    if (bins > 1) {
        for (Size row = 0; row < rows; row++)
            distribution(target[row], s->numbers, bins, s->smoothing, goal + row * bins);
        categorical(all, bins, out, s->numbers, probability, value, log_sum);
        for (Size i = 0; i < all; i++) found[1] += value[i];
        cross_entropy(n->ensemble, rows, bins, out, log_sum, goal, value);
        for (Size i = 0; i < all; i++) found[0] += value[i];
        fill(log_sum, s->share, all);
        through_cross_entropy(n->ensemble, rows, bins, probability, goal, log_sum, out);
    } else
        for (Size i = 0; i < all; i++) {
            const float difference = out[i] - target[i % rows];
            found[1] += out[i];
            found[0] += difference * difference;
            out[i] = 2 * s->share * difference;
        }
    found[0] *= s->share;
    residual_backward(n, s->rows, s->flat, kept, out, scratch, s->of_flat, s->of_rows);
}
