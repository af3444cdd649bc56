/* The loss of critics and its gradient in one call, so that it does not wait for Python's lock. value.py and losses.py
 * are the definitions. */

typedef struct {
    Size members, rows, bins;       /* rows of one member */
    const float *fixed, *discounts; /* the target (rows,) is fixed + discount * value of the target critics */
    const float *numbers;           /* (bins,) */
    float smoothing, share;         /* smoothing 0 is two-hot; *share* of each loss counts */
    Size minimum;                   /* of the members' values; else their mean */
} Loss;

/* What a loss computes with: outputs, probabilities, a value and a logarithm of every row of all members, and the
 * targets with their distributions. */
typedef struct {
    float *out, *probability, *value, *log_sum, *target, *goal;
} Parts;

static Size loss_memory(const Loss *l)
{
    const Size all = l->members * l->rows;
    return 2 * all * l->bins + 2 * all + l->rows * (1 + l->bins);
}

static Parts parts_in(const Loss *l, float *memory)
{
    const Size all = l->members * l->rows;
    Parts p = {.out = memory};
    p.probability = p.out + all * l->bins, p.value = p.probability + all * l->bins, p.log_sum = p.value + all;
    p.target = p.log_sum + all, p.goal = p.target + l->rows;
    return p;
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
static void join(const Loss *l, const float *of_members, float *values)
{
    const Size rows = l->rows;
    memcpy(values, of_members, (size_t)rows * sizeof *values);
    for (Size m = 1; m < l->members; m++)
        EACH(i, rows)
        {
            const float other = of_members[m * rows + i];
            /* What is not a number stays one. */
            values[i] = l->minimum ? (values[i] < other || values[i] != values[i] ? values[i] : other)
                                   : values[i] + other;
        }
    if (!l->minimum) EACH(i, rows) values[i] /= (float)l->members;
}

/* The targets, of the outputs of the target critics. */
static void bootstrap(const Loss *l, const Parts *p)
{
    const Size all = l->members * l->rows;
    if (l->bins > 1) categorical(all, l->bins, p->out, l->numbers, p->probability, p->value, p->log_sum);
    join(l, l->bins > 1 ? p->value : p->out, p->target);
    EACH(i, l->rows) p->target[i] = l->fixed[i] + l->discounts[i] * p->target[i];
}

/* Replace the critics' outputs by their gradient. found: the loss, summed over members and rows, times share; and the
 * sum of all values. */
static void differentiate(const Loss *l, const Parts *p, double *found)
{
    const Size rows = l->rows, bins = l->bins, all = l->members * rows;
    found[0] = found[1] = 0;
    if (bins > 1) {
        for (Size row = 0; row < rows; row++)
            distribution(p->target[row], l->numbers, bins, l->smoothing, p->goal + row * bins);
        categorical(all, bins, p->out, l->numbers, p->probability, p->value, p->log_sum);
        for (Size i = 0; i < all; i++) found[1] += p->value[i];
        cross_entropy(l->members, rows, bins, p->out, p->log_sum, p->goal, p->value);
        for (Size i = 0; i < all; i++) found[0] += p->value[i];
        fill(p->log_sum, l->share, all);
        through_cross_entropy(l->members, rows, bins, p->probability, p->goal, p->log_sum, p->out);
    } else
        for (Size i = 0; i < all; i++) {
            const float difference = p->out[i] - p->target[i % rows];
            found[1] += p->out[i];
            found[0] += difference * difference;
            p->out[i] = 2 * l->share * difference;
        }
    found[0] *= l->share;
}

Size residual_step_memory(const Residual *n, const Loss *l)
{
    return residual_memory(n) + residual_scratch(n) + loss_memory(l);
}

/* rows and next_rows (tasks, batch, inputs) are those of the values to learn and of the target; of_rows may be null. */
void residual_step(const Residual *n, const Loss *l, const float *rows, const float *next_rows, const float *flat,
                   const float *target_flat, float *memory, float *of_flat, float *of_rows, double *found)
{
    float *kept = memory, *scratch = kept + residual_memory(n);
    const Parts p = parts_in(l, scratch + residual_scratch(n));
    residual_forward(n, next_rows, target_flat, kept, p.out);
    bootstrap(l, &p);
    residual_forward(n, rows, flat, kept, p.out);
    differentiate(l, &p, found);
    residual_backward(n, rows, flat, kept, p.out, scratch, of_flat, of_rows);
}

Size modular_step_memory(const Modular *n, Size slots, const Loss *l)
{
    return modular_memory(n, slots) + modular_scratch(n) + loss_memory(l);
}

/* The same for the modular network. */
void modular_step(const Modular *n, const Routing *r, const int32_t *routes, Size slots, const Loss *l,
                  const float *rows, const float *next_rows, const float *core, const float *const *pool,
                  const float *target_core, const float *const *target_pool, float *memory, float *of_core,
                  float *const *of_pool, float *of_rows, double *found)
{
    float *kept = memory, *scratch = kept + modular_memory(n, slots);
    const Parts p = parts_in(l, scratch + modular_scratch(n));
    modular_forward(n, r, routes, slots, next_rows, target_core, target_pool, kept, scratch, p.out);
    bootstrap(l, &p);
    modular_forward(n, r, routes, slots, rows, core, pool, kept, scratch, p.out);
    differentiate(l, &p, found);
    modular_backward(n, r, routes, slots, rows, core, pool, kept, p.out, scratch, of_core, of_pool, of_rows);
}
