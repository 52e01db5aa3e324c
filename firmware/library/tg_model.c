#include "tg_model.h"

void tg_model_init(void)
{
    /* Weights are constant and every layer writes before it reads: there is a seed to set, at most. */
    tg_model_seed(tg_the_model.default_seed[0], tg_the_model.default_seed[1]);
}

void tg_model_seed(uint32_t low, uint32_t high)
{
    if (tg_the_model.seed != 0) {
        tg_the_model.seed[0] = low;
        tg_the_model.seed[1] = high;
    }
}

void tg_model_invoke(void)
{
    for (uint32_t i = 0; i < tg_the_model.layer_count; i++) {
        tg_the_model.layers[i].run();
    }
}

void *tg_model_input(uint32_t index)
{
    return index < tg_the_model.input_count ? tg_the_model.inputs[index].data : 0;
}

const void *tg_model_output(uint32_t index)
{
    return index < tg_the_model.output_count ? tg_the_model.outputs[index].data : 0;
}
