/* Matrix products, and what is done to rows between them. */

#include <math.h>
#include <stdint.h>
#include <string.h>

#define EPSILON 1e-5f /* torch's, for LayerNorm */

/* A loop whose turns depend on no other turn, although its arrays may be the same one. */
#define EACH(i, size) _Pragma("GCC ivdep") for (Size i = 0; i < (size); i++)

typedef int64_t Size;
typedef void (*Sgemm)(const char *, const char *, const int *, const int *, const int *, const float *, const float *,
                      const int *, const float *, const int *, const float *, float *, const int *);

static Sgemm sgemm;

void use_blas(void *function) { sgemm = (Sgemm)function; }

/* ------------------------------------------------------------------------------------------------ matrix products */

static void blas(char a_is, char b_is, Size rows, Size columns, Size inner, const float *a, Size a_row, const float *b,
                 Size b_row, float share, float *out)
{
    const int m = (int)columns, n = (int)rows, k = (int)inner, lda = (int)b_row, ldb = (int)a_row;
    const float one = 1;
    sgemm(&b_is, &a_is, &m, &n, &k, &one, b, &lda, a, &ldb, &share, out, &m);
}

/* out (rows, outputs) = x (rows, inputs) weight (inputs, outputs) + share out */
static void product(const float *x, const float *weight, float share, float *out, Size rows, Size inputs, Size outputs)
{
    blas('N', 'N', rows, outputs, inputs, x, inputs, weight, outputs, share, out);
}

/* of_x (rows, inputs) = of_out (rows, outputs) weight' + share of_x */
static void back(const float *of_out, const float *weight, float share, float *of_x, Size rows, Size inputs,
                 Size outputs)
{
    blas('N', 'T', rows, inputs, outputs, of_out, outputs, weight, outputs, share, of_x);
}

/* of_weight (inputs, outputs) = x' of_out + share of_weight */
static void to_weight(const float *x, const float *of_out, float share, float *of_weight, Size rows, Size inputs,
                      Size outputs)
{
    blas('T', 'N', inputs, outputs, rows, x, inputs, of_out, outputs, share, of_weight);
}

/* ----------------------------------------------------------------------------------------------- between products */

static inline float relu(float x) { return x < 0 ? 0 : x; }
static inline float through_relu(float gradient, float out) { return out <= 0 ? 0 : gradient; }

static void fill(float *x, float value, Size size)
{
    EACH(i, size) x[i] = value;
}

#define LANES 16

/* The largest number, of LANES at once: compilers leave a maximum alone that what is not a number could decide. */
static inline float largest(const float *x, Size size)
{
    float top[LANES];
    fill(top, x[0], LANES);
    for (Size begin = 0; begin + LANES <= size; begin += LANES)
        EACH(i, LANES) top[i] = x[begin + i] > top[i] ? x[begin + i] : top[i];
    for (Size i = 0; i < size % LANES; i++) {
        const float last = x[size - 1 - i];
        top[i] = last > top[i] ? last : top[i];
    }
    for (Size i = 1; i < LANES; i++) top[0] = top[i] > top[0] ? top[i] : top[0];
    return top[0];
}

/* Add bias (width) to each row. */
static void add_bias(float *x, const float *bias, Size rows, Size width)
{
    for (Size row = 0; row < rows; row++, x += width)
        EACH(i, width) x[i] += bias[i];
}

/* sum (width) += the sum of all rows */
static void add_rows(const float *x, float *sum, Size rows, Size width)
{
    for (Size row = 0; row < rows; row++, x += width)
        EACH(i, width) sum[i] += x[i];
}

/* out = LayerNorm(x) of one row; returns the factor that divides by its standard deviation. */
static float normalise(const float *x, float *out, Size width)
{
    float sum = 0, square = 0;
    EACH(i, width) sum += x[i];
    const float mean = sum / (float)width;
    EACH(i, width) {
        const float centred = x[i] - mean;
        out[i] = centred;
        square += centred * centred;
    }
    const float factor = 1 / sqrtf(square / (float)width + EPSILON);
    EACH(i, width) out[i] *= factor;
    return factor;
}

/* of_x = share of_x + the gradient of one row before LayerNorm, from the one behind it, its output and its factor. */
static void through_norm(const float *gradient, const float *normal, float factor, float share, float *of_x,
                         Size width)
{
    float sum = 0, along = 0;
    EACH(i, width) {
        sum += gradient[i];
        along += gradient[i] * normal[i];
    }
    const float mean = sum / (float)width, slope = along / (float)width;
    if (share == 0)
        EACH(i, width) of_x[i] = factor * (gradient[i] - mean - normal[i] * slope);
    else
        EACH(i, width) of_x[i] += factor * (gradient[i] - mean - normal[i] * slope);
}

/* The last layer. One output is a dot product: libraries are slow at matrices of one column. */
static void head(const float *x, const float *weight, const float *bias, float *out, Size rows, Size width,
                 Size outputs)
{
    if (outputs == 1)
        for (Size row = 0; row < rows; row++, x += width) {
            float sum = 0;
            EACH(i, width) sum += x[i] * weight[i];
            out[row] = sum + bias[0];
        }
    else {
        product(x, weight, 0, out, rows, width, outputs);
        add_bias(out, bias, rows, outputs);
    }
}

static void through_head(const float *of_out, const float *weight, float *of_x, Size rows, Size width, Size outputs)
{
    if (outputs == 1)
        for (Size row = 0; row < rows; row++, of_x += width)
            EACH(i, width) of_x[i] = of_out[row] * weight[i];
    else
        back(of_out, weight, 0, of_x, rows, width, outputs);
}

static void to_head(const float *x, const float *of_out, float *of_weight, float *of_bias, Size rows, Size width,
                    Size outputs)
{
    fill(of_bias, 0, outputs);
    add_rows(of_out, of_bias, rows, outputs);
    if (outputs == 1) {
        fill(of_weight, 0, width);
        for (Size row = 0; row < rows; row++, x += width)
            EACH(i, width) of_weight[i] += of_out[row] * x[i];
    } else
        to_weight(x, of_out, 0, of_weight, rows, width, outputs);
}
