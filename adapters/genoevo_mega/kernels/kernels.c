/* The parts of an update that torch would compute in many small operations, each as one call.
 *
 * All numbers are float32, all arrays row-major and contiguous. Rows are task after task. Matrix products are those of
 * the BLAS that use_blas() was given; everything between two products is one loop over the rows. A comparison with
 * what is not a number is false, and written so that such a number is passed on.
 */

#include "rows.h"

#include "learner.h"
#include "modular.h"
#include "residual.h"

#include "critic.h"
