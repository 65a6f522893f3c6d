/* A delegate for tests: takes float ADDs of equal shapes, computes them, and leaves everything else.
 *
 * A custom operator `edgetpu-custom-op` stands for an ADD with a RELU, as a compiled file has operators of its device's.
 *
 * Options: `activation_limit=N` (a number: what every sum is cut off at). Any other is an error.
 * The layouts are those of the runtime's C interface; of each structure only the beginning that is used, in order.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct Context;
struct Delegate;
typedef struct { int size; int data[]; } IntArray;
typedef struct { int type; void *data; IntArray *dims; float scale; int32_t zero_point; int allocation; size_t bytes;
                 const void *memory; const char *name; struct Delegate *delegate; int handle; _Bool stale, variable;
                 int quantization; void *parameters; void *sparsity; const IntArray *signature; } Tensor;
typedef struct { IntArray *inputs, *outputs, *intermediates, *temporaries; void *user_data; void *builtin_data; } Node;
typedef struct Registration { void *(*init)(struct Context *, const char *, size_t); void (*free)(struct Context *, void *);
                 int (*prepare)(struct Context *, Node *); int (*invoke)(struct Context *, Node *);
                 const char *(*profile)(const struct Context *, const Node *); int32_t code; const char *name; int version;
                 void *external; void *async; uint64_t inplace; } Registration;
typedef struct Context { size_t count; int (*plan)(struct Context *, IntArray **); Tensor *tensors; void *impl;
                 int (*resize)(struct Context *, Tensor *, IntArray *); void (*error)(struct Context *, const char *, ...);
                 int (*add)(struct Context *, int, int *);
                 int (*node)(struct Context *, int, Node **, Registration **);
                 int (*replace)(struct Context *, Registration, const IntArray *, struct Delegate *); } Context;
typedef struct Delegate { void *data; int (*prepare)(Context *, struct Delegate *); void *from, *to, *release;
                 int64_t flags; void *builder; float limit; } Delegate;
typedef struct { Delegate *delegate; IntArray *nodes, *inputs, *outputs; } Part;
typedef struct { int one, two, sum, activation; } Addition;
typedef struct { int size; float limit; Addition additions[]; } Kernel;

enum { OK = 0, FAILED = 1, FLOAT32 = 1, ADD = 0, CUSTOM = 32, RELU = 1, MINE = 51 };

static void *begin(Context *context, const char *buffer, size_t length) {
  const Part *part = (const Part *)buffer;
  Kernel *kernel = malloc(sizeof *kernel + part->nodes->size * sizeof(Addition));
  (void)length;
  kernel->size = part->nodes->size;
  kernel->limit = part->delegate->limit;
  for (int i = 0; i < kernel->size; i++) {
    Node *node;
    Registration *registration;
    context->node(context, part->nodes->data[i], &node, &registration);
    kernel->additions[i] = (Addition){node->inputs->data[0], node->inputs->data[1], node->outputs->data[0],
                                      registration->code == CUSTOM ? RELU : *(int *)node->builtin_data};
  }
  return kernel;
}

static void end(Context *context, void *kernel) { (void)context; free(kernel); }

static int ready(Context *context, Node *node) { (void)context; (void)node; return OK; }

static int run(Context *context, Node *node) {
  const Kernel *kernel = node->user_data;
  for (int i = 0; i < kernel->size; i++) {
    const Addition *each = &kernel->additions[i];
    const float *one = context->tensors[each->one].data, *two = context->tensors[each->two].data;
    Tensor *sum = &context->tensors[each->sum];
    for (size_t j = 0; j < sum->bytes / sizeof(float); j++) {
      float value = one[j] + two[j];
      if (each->activation == RELU) value = fmaxf(value, 0);
      ((float *)sum->data)[j] = fminf(value, kernel->limit);
    }
  }
  return OK;
}

static int takes(const Context *context, const Node *node, const Registration *registration) {
  const int compiled = registration->code == CUSTOM && !strcmp(registration->name, "edgetpu-custom-op");
  if (registration->code != ADD && !compiled) return 0;
  const Tensor *one = &context->tensors[node->inputs->data[0]], *two = &context->tensors[node->inputs->data[1]];
  return one->type == FLOAT32 && two->type == FLOAT32 && one->bytes == two->bytes &&
         (compiled || *(int *)node->builtin_data <= RELU);
}

static int prepare(Context *context, Delegate *delegate) {
  IntArray *plan;
  if (context->plan(context, &plan) != OK) return FAILED;
  IntArray *taken = malloc(sizeof *taken + plan->size * sizeof(int));
  taken->size = 0;
  for (int i = 0; i < plan->size; i++) {
    Node *node;
    Registration *registration;
    if (context->node(context, plan->data[i], &node, &registration) != OK) return FAILED;
    if (takes(context, node, registration)) taken->data[taken->size++] = plan->data[i];
  }
  Registration kernel = {begin, end, ready, run, NULL, MINE, "AddDelegate", 1, NULL, NULL, 0};
  int status = taken->size ? context->replace(context, kernel, taken, delegate) : OK;
  free(taken);
  return status;
}

Delegate *tflite_plugin_create_delegate(char **keys, char **values, size_t count, void (*report)(const char *)) {
  float limit = INFINITY;
  for (size_t i = 0; i < count; i++) {
    if (strcmp(keys[i], "activation_limit")) {
      report("unknown option ");
      report(keys[i]);
      return NULL;
    }
    limit = strtof(values[i], NULL);
  }
  Delegate *delegate = calloc(1, sizeof *delegate);
  delegate->prepare = prepare;
  delegate->flags = 1;  /* asked before the operators are prepared, which a compiled one cannot be */
  delegate->limit = limit;
  return delegate;
}

void tflite_plugin_destroy_delegate(Delegate *delegate) { free(delegate); }
