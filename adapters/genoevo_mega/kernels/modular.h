/* The modular network with residual modules, along the tasks' routes; modular.py is the definition. */

typedef struct {
    Size ensemble, tasks, genotypes, batch, inputs, width, hidden, outputs, layers, layer_norm, modules, stride;
} Modular; /* batch: rows of one genotype; modules: of the pool; stride: modules that the routing has room for */

typedef struct {
    const float *inputs, *output; /* as in routing.py */
    const int64_t *stages;        /* (tasks,) */
} Routing;

static inline const float *weights_of(const Modular *n, const Routing *r, Size route, Size module)
{
    return r->inputs + (route * (n->stride > 1 ? n->stride - 1 : 1) + module - 2) * n->stride;
}

/* The weight of hidden layer *source* (0 is the embedding) in the input of module *module*, counted from 1. */
static inline float input_weight(const Modular *n, const Routing *r, Size route, Size module, Size source)
{
    return module == 1 ? (source == 0) : weights_of(n, r, route, module)[source];
}

static inline float output_weight(const Modular *n, const Routing *r, Size route, Size source)
{
    return r->output[route * (n->stride + 1) + source];
}

/* Write each route: the number of the modules that its output depends on, and these in rising order, counted from 1.
 * routes is (tasks * genotypes, modules + 1); returns the number of all of them. */
Size modular_routes(const Modular *n, const Routing *r, int32_t *routes)
{
    Size total = 0;
    for (Size route = 0; route < n->tasks * n->genotypes; route++) {
        int32_t *own = routes + route * (n->modules + 1), *reached = own + 1;
        const Size stage = r->stages[route / n->genotypes];
        for (Size k = 1; k <= stage; k++) reached[k - 1] = output_weight(n, r, route, k) > 0;
        for (Size k = stage; k >= 2; k--)
            for (Size j = 1; reached[k - 1] && j < k; j++)
                if (weights_of(n, r, route, k)[j] > 0) reached[j - 1] = 1;
        Size count = 0;
        for (Size k = 1; k <= stage; k++)
            if (reached[k - 1]) reached[count++] = (int32_t)k;
        own[0] = (int32_t)count;
        total += count;
    }
    return total;
}

static Size modular_rows(const Modular *n) { return n->tasks * n->genotypes * n->batch; }

/* What a pass keeps of one member: the embedding's layers, the head's input, and of each module on a route what its
 * first layer reads, the factors of that, and its hidden layer. */
static Size layer_kept(const Modular *n)
{
    const Size rows = modular_rows(n);
    return rows * (n->layer_norm ? 2 * n->width + 1 : n->width);
}
static Size slot_kept(const Modular *n) { return n->batch * (n->width + 1 + n->hidden); }
static Size modular_kept(const Modular *n, Size slots)
{
    const Size rows = modular_rows(n);
    return n->layers * layer_kept(n) + rows * (n->width + 1) + slots * slot_kept(n);
}

Size modular_memory(const Modular *n, Size slots) { return n->ensemble * modular_kept(n, slots); }
Size modular_scratch(const Modular *n)
{
    return 2 * modular_rows(n) * n->width + (n->modules + 3) * n->batch * n->width
           + n->batch * n->hidden;
}

/* out = the sum of the layers (count + 1, size), each with its weight; returns a layer itself if it is the only term
 * and its weight is 1. */
static const float *mixed(const float *const *layers, const float *weights, Size count, float *out, Size size)
{
    Size terms = 0, last = 0;
    for (Size j = 0; j <= count; j++)
        if (weights[j] != 0) terms++, last = j;
    if (terms == 1 && weights[last] == 1) return layers[last];
    if (terms == 0) fill(out, 0, size);
    Size done = 0;
    for (Size j = 0; j <= count; j++) {
        if (weights[j] == 0) continue;
        const float weight = weights[j], *layer = layers[j];
        if (done++)
            EACH(i, size) out[i] += weight * layer[i];
        else
            EACH(i, size) out[i] = weight * layer[i];
    }
    return out;
}

/* The weights of a route's hidden layers in the input of its slot, or in its output if slot == count. */
static void route_weights(const Modular *n, const Routing *r, Size route, const int32_t *modules, Size count,
                          Size slot, float *weights)
{
    for (Size j = 0; j <= slot; j++) {
        const Size source = j ? modules[j - 1] : 0;
        weights[j] = slot == count ? output_weight(n, r, route, source)
                                   : input_weight(n, r, route, modules[slot], source);
    }
}

void modular_forward(const Modular *n, const Routing *r, const int32_t *routes, Size slots, const float *x,
                     const float *core, const float *const *pool, float *kept, float *scratch, float *out)
{
    const Size e = n->ensemble, b = n->batch, w = n->width, h = n->hidden, all = n->tasks * n->genotypes;
    const Size rows = all * b, size = b * w;
    float weights[n->modules + 1];
    const float *layers[n->modules + 1];
    for (Size m = 0; m < e; m++, kept += modular_kept(n, slots), out += rows * n->outputs) {
        const float *task_bias = core + m * n->tasks * w, *weight = core + e * n->tasks * w;
        const float *input = x;
        float *layer = kept;
        for (Size l = 0; l < n->layers; l++, layer += layer_kept(n)) {
            const Size inputs = l ? w : n->inputs;
            const float *bias = weight + e * inputs * w + m * w;
            float *y = layer, *normal = n->layer_norm ? layer + rows * w : layer, *factor = normal + rows * w;
            product(input, weight + m * inputs * w, 0, normal, rows, inputs, w);
            for (Size row = 0; row < rows; row++) {
                float *v = normal + row * w;
                const float *own = task_bias + row / (n->genotypes * b) * w;
                if (l)
                    EACH(i, w) v[i] += bias[i];
                else
                    EACH(i, w) v[i] += bias[i] + own[i];
                if (n->layer_norm) factor[row] = normalise(v, v, w);
                EACH(i, w) y[row * w + i] = relu(v[i]);
            }
            input = y;
            weight += e * (inputs * w + w);
        }
        const float *embedded = input;
        float *of_head = layer, *head_factor = of_head + rows * w, *slot = head_factor + rows;
        for (Size route = 0; route < all; route++) {
            const int32_t *modules = routes + route * (n->modules + 1) + 1;
            const Size count = modules[-1];
            layers[0] = embedded + route * size;
            for (Size s = 0; s <= count; s++) {
                route_weights(n, r, route, modules, count, s, weights);
                const float *sum = mixed(layers, weights, s, scratch, size);
                if (s == count) {
                    for (Size row = 0; row < b; row++)
                        head_factor[route * b + row] = normalise(sum + row * w, of_head + route * size + row * w, w);
                    break;
                }
                const float *module = pool[modules[s] - 1];
                const float *inner = module + m * w * h, *inner_bias = module + e * w * h + m * h;
                const float *outer = module + e * (w * h + h) + m * h * w, *outer_bias = module + e * (2 * w * h + h) + m * w;
                float *normal = slot, *factor = normal + size, *between = factor + b, *own = scratch + (s + 1) * size;
                for (Size row = 0; row < b; row++) factor[row] = normalise(sum + row * w, normal + row * w, w);
                product(normal, inner, 0, between, b, w, h);
                for (Size row = 0; row < b; row++)
                    EACH(i, h) between[row * h + i] = relu(between[row * h + i] + inner_bias[i]);
                for (Size row = 0; row < b; row++)
                    EACH(i, w) own[row * w + i] = sum[row * w + i] + outer_bias[i];
                product(between, outer, 1, own, b, h, w);
                layers[s + 1] = own;
                slot += slot_kept(n);
            }
        }
        const float *last = weight + m * w * n->outputs, *last_bias = weight + e * w * n->outputs + m * n->outputs;
        head(of_head, last, last_bias, out, rows, w, n->outputs);
    }
}

/* of_core and of_pool (modules that the routing has room for) may be null: nobody wants them; so may of_x. */
void modular_backward(const Modular *n, const Routing *r, const int32_t *routes, Size slots, const float *x,
                      const float *core, const float *const *pool, const float *kept, const float *of_out,
                      float *scratch, float *of_core, float *const *of_pool, float *of_x)
{
    const Size e = n->ensemble, b = n->batch, w = n->width, h = n->hidden, all = n->tasks * n->genotypes;
    const Size rows = all * b, size = b * w, t = n->tasks;
    const Size first = e * t * w, later = first + e * (n->inputs * w + w);
    const Size last = later + (n->layers - 1) * e * (w * w + w);
    float *of_h = scratch, *of_layer = of_h + rows * w, *of_hidden = of_layer + rows * w;
    float *of_normal = of_hidden + (n->modules + 2) * size, *of_between = of_normal + size;
    float weights[n->modules + 1];
    if (of_pool)
        for (Size module = 0; module < n->modules; module++) fill(of_pool[module], 0, e * (2 * w * h + h + w));
    for (Size m = 0; m < e; m++, kept += modular_kept(n, slots), of_out += rows * n->outputs) {
        const float *of_head = kept + n->layers * layer_kept(n), *head_factor = of_head + rows * w;
        const float *slot = head_factor + rows;
        if (of_core)
            to_head(of_head, of_out, of_core + last + m * w * n->outputs,
                    of_core + last + e * w * n->outputs + m * n->outputs, rows, w, n->outputs);
        through_head(of_out, core + last + m * w * n->outputs, of_layer, rows, w, n->outputs);
        for (Size route = 0; route < all; route++) {
            const int32_t *modules = routes + route * (n->modules + 1) + 1;
            const Size count = modules[-1];
            float *of_sum = of_layer + route * size;
            for (Size row = 0; row < b; row++)
                through_norm(of_sum + row * w, of_head + route * size + row * w, head_factor[route * b + row], 0,
                             of_sum + row * w, w);
            for (Size s = count; s >= 0; s--) {
                /* Here of_sum is the gradient of a sum: add it to its terms. */
                route_weights(n, r, route, modules, count, s, weights);
                for (Size j = 0; j <= s; j++) {
                    float *of_term = j ? of_hidden + (j - 1) * size : of_h + route * size;
                    const float weight = weights[j];
                    if (s == count)
                        EACH(i, size) of_term[i] = weight * of_sum[i];
                    else if (weight != 0)
                        EACH(i, size) of_term[i] += weight * of_sum[i];
                }
                if (s == 0) break;
                const float *normal = slot + (s - 1) * slot_kept(n), *factor = normal + size, *between = factor + b;
                const Size module = modules[s - 1] - 1, inner = m * w * h, inner_bias = e * w * h + m * h;
                const Size outer = e * (w * h + h) + m * h * w, outer_bias = e * (2 * w * h + h) + m * w;
                of_sum = of_hidden + (s - 1) * size; /* of the module's output, to which its input is added */
                if (of_pool) {
                    to_weight(between, of_sum, 1, of_pool[module] + outer, b, h, w);
                    add_rows(of_sum, of_pool[module] + outer_bias, b, w);
                }
                back(of_sum, pool[module] + outer, 0, of_between, b, h, w);
                EACH(i, b * h) of_between[i] = through_relu(of_between[i], between[i]);
                if (of_pool) {
                    to_weight(normal, of_between, 1, of_pool[module] + inner, b, w, h);
                    add_rows(of_between, of_pool[module] + inner_bias, b, h);
                }
                back(of_between, pool[module] + inner, 0, of_normal, b, w, h);
                for (Size row = 0; row < b; row++)
                    through_norm(of_normal + row * w, normal + row * w, factor[row], 1, of_sum + row * w, w);
            }
            slot += count * slot_kept(n);
        }
        for (Size l = n->layers - 1; l >= 0; l--) {
            const Size inputs = l ? w : n->inputs;
            const Size at = l ? later + (l - 1) * e * (w * w + w) : first, bias = at + e * inputs * w + m * w;
            const float *y = kept + l * layer_kept(n), *normal = n->layer_norm ? y + rows * w : y;
            const float *factor = normal + rows * w, *input = l ? y - layer_kept(n) : x;
            for (Size row = 0; row < rows; row++) {
                float *g = of_h + row * w;
                EACH(i, w) g[i] = through_relu(g[i], y[row * w + i]);
                if (n->layer_norm) through_norm(g, normal + row * w, factor[row], 0, g, w);
            }
            if (of_core) {
                to_weight(input, of_h, 0, of_core + at + m * inputs * w, rows, inputs, w);
                fill(of_core + bias, 0, w);
                add_rows(of_h, of_core + bias, rows, w);
                for (Size task = 0; task < t && l == 0; task++) {
                    fill(of_core + (m * t + task) * w, 0, w);
                    add_rows(of_h + task * n->genotypes * size, of_core + (m * t + task) * w, n->genotypes * b, w);
                }
            }
            if (l == 0) {
                if (of_x) back(of_h, core + at + m * inputs * w, m ? 1 : 0, of_x, rows, inputs, w);
                break;
            }
            back(of_h, core + at + m * inputs * w, 0, of_layer, rows, inputs, w);
            float *swapped = of_h;
            of_h = of_layer;
            of_layer = swapped;
        }
    }
}
