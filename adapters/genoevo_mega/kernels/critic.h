/* The loss of critics and its gradient in one call, so that it does not wait for Python's lock. value.py and losses.py
 * are the definitions. */

typedef struct {
    const float *fixed, *discounts; /* the target (rows,) is fixed + discount * value of the target critics */
    const float *numbers;           /* (bins,) */
    float smoothing, share;         /* smoothing 0 is two-hot; *share* of each loss counts */
    Size minimum;                   /* of the members' values; else their mean */
} Loss;

/* What a loss computes with: outputs, probabilities, a value and a logarithm of every row of all members, and the
 * targets with their distributions. */
typedef struct {
    Size members, rows, bins; /* rows of one member */
    float *out, *probability, *value, *log_sum, *target, *goal;
} Parts;

static Size loss_memory(Size members, Size rows, Size bins)
{
    return 2 * members * rows * (bins + 1) + rows * (1 + bins);
}

static Parts parts_in(Size members, Size rows, Size bins, float *memory)
{
    const Size all = members * rows;
    Parts p = {.members = members, .rows = rows, .bins = bins, .out = memory};
    p.probability = p.out + all * bins, p.value = p.probability + all * bins, p.log_sum = p.value + all;
    p.target = p.log_sum + all, p.goal = p.target + rows;
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
    /* In fp32 erf is 1 from 4 on, and erff takes a while: further away all shares are 0. */
    const float spread = 1.41421356f * smoothing * distance, place = (target - numbers[0]) / distance;
    const float reach = 4 * spread / distance + 1;
    const Size begin = place > reach ? (Size)(place - reach) : 0;
    const Size end = place + reach < (float)(bins - 1) ? (Size)(place + reach) + 1 : bins;
    float first = 0, below = 0;
    fill(probability, 0, bins);
    for (Size i = begin; i <= end; i++) {
        const float edge = i < bins ? numbers[i] - distance / 2 : numbers[bins - 1] + distance / 2;
        const float x = (edge - target) / spread;
        const float upper = fabsf(x) < 4 ? erff(x) : x < 0 ? -1 : x > 0 ? 1 : x;
        if (i > begin)
            probability[i - 1] = upper - below;
        else
            first = upper;
        below = upper;
    }
    const float share = 1 / (below - first);
    EACH(i, bins) probability[i] *= share;
}

/* One value of each row of all members, in p->target. */
static void join(const Parts *p, Size minimum, const float *of_members)
{
    const Size rows = p->rows;
    float *values = p->target;
    memcpy(values, of_members, (size_t)rows * sizeof *values);
    for (Size m = 1; m < p->members; m++)
        EACH(i, rows)
        {
            const float other = of_members[m * rows + i];
            /* What is not a number stays one. */
            values[i] = minimum ? (values[i] < other || values[i] != values[i] ? values[i] : other) : values[i] + other;
        }
    if (!minimum) EACH(i, rows) values[i] /= (float)p->members;
}

/* The targets, of the outputs of the target critics. */
static void bootstrap(const Loss *l, const Parts *p)
{
    if (p->bins > 1)
        categorical(p->members * p->rows, p->bins, p->out, l->numbers, p->probability, p->value, p->log_sum);
    join(p, l->minimum, p->bins > 1 ? p->value : p->out);
    EACH(i, p->rows) p->target[i] = l->fixed[i] + l->discounts[i] * p->target[i];
}

/* Replace the critics' outputs by their gradient. found: the loss, summed over members and rows, times share; and the
 * sum of all values. */
static void differentiate(const Loss *l, const Parts *p, double *found)
{
    const Size rows = p->rows, bins = p->bins, all = p->members * rows;
    found[0] = found[1] = 0;
    if (bins > 1) {
        for (Size row = 0; row < rows; row++)
            distribution(p->target[row], l->numbers, bins, l->smoothing, p->goal + row * bins);
        categorical(all, bins, p->out, l->numbers, p->probability, p->value, p->log_sum);
        for (Size i = 0; i < all; i++) found[1] += p->value[i];
        cross_entropy(p->members, rows, bins, p->out, p->log_sum, p->goal, p->value);
        for (Size i = 0; i < all; i++) found[0] += p->value[i];
        fill(p->log_sum, l->share, all);
        through_cross_entropy(p->members, rows, bins, p->probability, p->goal, p->log_sum, p->out);
    } else
        for (Size i = 0; i < all; i++) {
            const float difference = p->out[i] - p->target[i % rows];
            found[1] += p->out[i];
            found[0] += difference * difference;
            p->out[i] = 2 * l->share * difference;
        }
    found[0] *= l->share;
}

Size residual_step_memory(const Residual *n)
{
    return residual_memory(n) + residual_scratch(n) + loss_memory(n->ensemble, n->tasks * n->batch, n->outputs);
}

/* rows and next_rows (tasks, batch, inputs) are those of the values to learn and of the target; of_rows may be null. */
void residual_step(const Residual *n, const Loss *l, const float *rows, const float *next_rows, const float *flat,
                   const float *target_flat, float *memory, float *of_flat, float *of_rows, double *found)
{
    float *kept = memory, *scratch = kept + residual_memory(n);
    const Parts p = parts_in(n->ensemble, n->tasks * n->batch, n->outputs, scratch + residual_scratch(n));
    residual_forward(n, next_rows, target_flat, kept, p.out);
    bootstrap(l, &p);
    residual_forward(n, rows, flat, kept, p.out);
    differentiate(l, &p, found);
    residual_backward(n, rows, flat, kept, p.out, scratch, of_flat, of_rows);
}

Size modular_step_memory(const Modular *n, Size slots)
{
    return modular_memory(n, slots) + modular_scratch(n) + loss_memory(n->ensemble, modular_rows(n), n->outputs);
}

/* The same for the modular network. */
void modular_step(const Modular *n, const Routing *r, const int32_t *routes, Size slots, const Loss *l,
                  const float *rows, const float *next_rows, const float *core, const float *const *pool,
                  const float *target_core, const float *const *target_pool, float *memory, float *of_core,
                  float *const *of_pool, float *of_rows, double *found)
{
    float *kept = memory, *scratch = kept + modular_memory(n, slots);
    const Parts p = parts_in(n->ensemble, modular_rows(n), n->outputs, scratch + modular_scratch(n));
    modular_forward(n, r, routes, slots, next_rows, target_core, target_pool, kept, scratch, p.out);
    bootstrap(l, &p);
    modular_forward(n, r, routes, slots, rows, core, pool, kept, scratch, p.out);
    differentiate(l, &p, found);
    modular_backward(n, r, routes, slots, rows, core, pool, kept, p.out, scratch, of_core, of_pool, of_rows);
}
