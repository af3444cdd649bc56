/* The residual perceptron; residual.py is the definition, and the names are its own. */

typedef struct {
    Size ensemble, tasks, batch, inputs, width, outputs, blocks;
} Residual;

/* What a pass keeps of one member: layer after layer, its rows and their factors. */
static Size residual_kept(const Residual *n)
{
    return n->tasks * n->batch * (n->width * (2 + 4 * n->blocks) + 1 + 2 * n->blocks);
}

Size residual_memory(const Residual *n) { return n->ensemble * residual_kept(n); }
Size residual_scratch(const Residual *n) { return 3 * n->tasks * n->batch * n->width; }

void residual_forward(const Residual *n, const float *x, const float *flat, float *kept, float *out)
{
    const Size rows = n->tasks * n->batch, w = n->width, e = n->ensemble, all = rows * w;
    const float *scale = flat, *shift = scale + e * n->tasks * w, *first = shift + e * n->tasks * w;
    const float *first_bias = first + e * n->inputs * w, *blocks = first_bias + e * w;
    const float *last = blocks + n->blocks * e * 2 * (w * w + w), *last_bias = last + e * w * n->outputs;
    for (Size m = 0; m < e; m++, kept += residual_kept(n), out += rows * n->outputs) {
        float *normal = kept, *h = normal + all, *factor = h + all, *next = factor + rows;
        const float *bias = first_bias + m * w;
        product(x, first + m * n->inputs * w, 0, normal, rows, n->inputs, w);
        for (Size row = 0; row < rows; row++) {
            float *v = normal + row * w, *y = h + row * w;
            const Size of_task = (m * n->tasks + row / n->batch) * w;
            EACH(i, w) v[i] += bias[i];
            factor[row] = normalise(v, v, w);
            EACH(i, w) y[i] = relu(shift[of_task + i] + scale[of_task + i] * v[i]);
        }
        const float *block = blocks;
        for (Size b = 0; b < n->blocks; b++, block += e * 2 * (w * w + w)) {
            float *one = next, *between = one + all, *two = between + all, *sum = two + all;
            float *one_factor = sum + all, *two_factor = one_factor + rows;
            const float *w1 = block + m * w * w, *b1 = block + e * w * w + m * w;
            const float *w2 = block + e * (w * w + w) + m * w * w, *b2 = block + e * (2 * w * w + w) + m * w;
            next = two_factor + rows;
            product(h, w1, 0, one, rows, w, w);
            for (Size row = 0; row < rows; row++) {
                float *v = one + row * w, *y = between + row * w;
                EACH(i, w) v[i] += b1[i];
                one_factor[row] = normalise(v, v, w);
                EACH(i, w) y[i] = relu(v[i]);
            }
            product(between, w2, 0, two, rows, w, w);
            for (Size row = 0; row < rows; row++) {
                float *v = two + row * w, *y = sum + row * w;
                EACH(i, w) v[i] += b2[i];
                two_factor[row] = normalise(v, v, w);
                EACH(i, w) y[i] = h[row * w + i] + v[i];
            }
            h = sum;
        }
        head(h, last + m * w * n->outputs, last_bias + m * n->outputs, out, rows, w, n->outputs);
    }
}

/* of_flat and of_x may be null: nobody wants them. */
void residual_backward(const Residual *n, const float *x, const float *flat, const float *kept, const float *of_out,
                       float *scratch, float *of_flat, float *of_x)
{
    const Size rows = n->tasks * n->batch, w = n->width, e = n->ensemble, all = rows * w, t = n->tasks;
    const Size at_shift = e * t * w, at_first = 2 * at_shift, at_first_bias = at_first + e * n->inputs * w;
    const Size at_blocks = at_first_bias + e * w, a_block = e * 2 * (w * w + w);
    const Size at_last = at_blocks + n->blocks * a_block, at_last_bias = at_last + e * w * n->outputs;
    float *of_h = scratch, *of_layer = scratch + all;
    for (Size m = 0; m < e; m++, kept += residual_kept(n), of_out += rows * n->outputs) {
        const float *normal = kept, *h = normal + all, *factor = h + all, *kept_blocks = factor + rows;
        const Size a_kept = 4 * all + 2 * rows;
        const float *top = n->blocks ? kept_blocks + (n->blocks - 1) * a_kept + 3 * all : h;
        if (of_flat)
            to_head(top, of_out, of_flat + at_last + m * w * n->outputs, of_flat + at_last_bias + m * n->outputs, rows,
                    w, n->outputs);
        through_head(of_out, flat + at_last + m * w * n->outputs, of_h, rows, w, n->outputs);
        for (Size b = n->blocks - 1; b >= 0; b--) {
            const float *one = kept_blocks + b * a_kept, *between = one + all, *two = between + all;
            const float *one_factor = one + 4 * all, *two_factor = one_factor + rows;
            const float *input = b ? one - a_kept + 3 * all : h;
            const Size w1 = at_blocks + b * a_block + m * w * w, b1 = at_blocks + b * a_block + e * w * w + m * w;
            const Size w2 = w1 + e * (w * w + w), b2 = b1 + e * (w * w + w);
            for (Size row = 0; row < rows; row++)
                through_norm(of_h + row * w, two + row * w, two_factor[row], 0, of_layer + row * w, w);
            if (of_flat) {
                to_weight(between, of_layer, 0, of_flat + w2, rows, w, w);
                fill(of_flat + b2, 0, w);
                add_rows(of_layer, of_flat + b2, rows, w);
            }
            /* The gradient of the block's output stays: it is that of the path around the layers, too. */
            float *of_between = scratch + 2 * all;
            back(of_layer, flat + w2, 0, of_between, rows, w, w);
            for (Size row = 0; row < rows; row++) {
                float *g = of_between + row * w;
                const float *y = between + row * w;
                EACH(i, w) g[i] = through_relu(g[i], y[i]);
                through_norm(g, one + row * w, one_factor[row], 0, g, w);
            }
            if (of_flat) {
                to_weight(input, of_between, 0, of_flat + w1, rows, w, w);
                fill(of_flat + b1, 0, w);
                add_rows(of_between, of_flat + b1, rows, w);
            }
            back(of_between, flat + w1, 1, of_h, rows, w, w);
        }
        if (of_flat) fill(of_flat + at_first_bias + m * w, 0, w);
        for (Size task = 0; task < t; task++) {
            const float *scale = flat + (m * t + task) * w;
            float *of_scale = of_flat ? of_flat + (m * t + task) * w : 0;
            float *of_shift = of_flat ? of_flat + at_shift + (m * t + task) * w : 0;
            if (of_flat) fill(of_scale, 0, w), fill(of_shift, 0, w);
            for (Size row = task * n->batch; row < (task + 1) * n->batch; row++) {
                float *g = of_h + row * w;
                const float *y = h + row * w, *v = normal + row * w;
                EACH(i, w) g[i] = through_relu(g[i], y[i]);
                if (of_flat)
                    EACH(i, w) of_scale[i] += g[i] * v[i], of_shift[i] += g[i];
                EACH(i, w) g[i] *= scale[i];
                through_norm(g, v, factor[row], 0, g, w);
            }
        }
        if (of_flat) {
            to_weight(x, of_h, 0, of_flat + at_first + m * n->inputs * w, rows, n->inputs, w);
            add_rows(of_h, of_flat + at_first_bias + m * w, rows, w);
        }
        if (of_x) back(of_h, flat + at_first + m * n->inputs * w, m ? 1 : 0, of_x, rows, n->inputs, w);
    }
}
