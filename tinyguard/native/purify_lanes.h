/* SPDX-License-Identifier: Apache-2.0 */
/* Pixel Defend on LANES images together, one in each lane of a vector. A file that includes this defines LANES
 * (2, 4 or 8), PURIFY, the function's name, and TARGET, the processors that it is for.
 *
 * The PixelCNN's sums are exact in double precision, so that their order is free and a fused product and sum
 * changes nothing. The choice of a code is not, and keeps the order of the Python code.
 */

#include <math.h>
#include <string.h>

#include "every_cpu.h"
#include "purify.h"

#if defined(__GNUC__) && !defined(__clang__)
#define FUSED __attribute__((optimize("fp-contract=fast")))
#else
#define FUSED
#endif

enum { PARTS = COLUMNS / LANES, LOWEST = -128, HIGHEST = 127, CODES = 256 };

typedef double lanes __attribute__((vector_size(8 * LANES)));
typedef int64_t mask __attribute__((vector_size(8 * LANES))); /* -1 or 0 */

TARGET INLINE lanes loaded(const double *x) {
    lanes loaded;
    memcpy(&loaded, x, sizeof loaded);
    return loaded;
}

/* out (LANES, outputs), on the grid of activations, of each tap's inputs (LANES, inputs). */
TARGET FUSED static void convolve(const struct pixel_cnn *network, const struct layer *layer,
                                  const double *const *seen, double *out) {
    const double scale = network->activation_steps, most = network->largest_activation;
    for (int32_t first = 0; first < layer->outputs; first += COLUMNS) {
        lanes sums[LANES][PARTS];
        for (int b = 0; b < LANES; b++) {
            for (int p = 0; p < PARTS; p++) {
                sums[b][p] = loaded(layer->bias + first + p * LANES);
            }
        }
        const double *weights = layer->weights + first;
        for (int32_t tap = 0; tap < layer->tap_count; tap++) {
            const double *x = seen[tap];
            for (int32_t i = 0; i < layer->inputs; i++, weights += layer->outputs) {
#pragma GCC unroll 8
                for (int p = 0; p < PARTS; p++) {
                    const lanes w = loaded(weights + p * LANES);
#pragma GCC unroll 8
                    for (int b = 0; b < LANES; b++) {
                        sums[b][p] += x[b * layer->inputs + i] * w;
                    }
                }
            }
        }
        for (int b = 0; b < LANES; b++) {
            double done[COLUMNS];
            memcpy(done, sums[b], sizeof done);
            for (int c = 0; c < COLUMNS; c++) {
                const double y = rint(done[c] * scale) / scale, above = y < -most ? -most : y;
                out[b * layer->outputs + first + c] = above > most ? most : above;
            }
        }
    }
}

/* Where the layer's inputs of a pixel lie. */
TARGET INLINE double *place_of(const struct pixel_cnn *network, const struct layer *layer, int32_t row,
                               int32_t column) {
    const int32_t reach = layer->reach, across = network->width + 2 * reach;
    return layer->seen + ((size_t)(row + reach) * across + column + reach) * LANES * layer->inputs;
}

TARGET INLINE void convolve_at(const struct pixel_cnn *network, const struct layer *layer, int32_t row,
                               int32_t column, double *out) {
    const double *seen[layer->tap_count];
    for (int32_t tap = 0; tap < layer->tap_count; tap++) {
        seen[tap] = place_of(network, layer, row + layer->taps[2 * tap], column + layer->taps[2 * tap + 1]);
    }
    convolve(network, layer, seen, out);
}

/* The positive part of x (LANES, from) as the first `count` of each lane. */
TARGET INLINE void rectify(const double *x, int32_t from, double *out, int32_t count) {
    for (int b = 0; b < LANES; b++) {
        for (int32_t i = 0; i < count; i++) {
            const double y = x[b * from + i];
            out[b * count + i] = y > 0 ? y : 0;
        }
    }
}

/* The last layer's output at a pixel when all before it are put, in network->wide. */
TARGET INLINE void evaluate(const struct pixel_cnn *network, int32_t row, int32_t column) {
    const struct layer *layer = network->layers;
    double *const hidden = network->hidden, *const wide = network->wide, *const narrow = network->narrow;
    const int32_t width = layer->outputs;
    convolve_at(network, layer++, row, column, hidden);
    for (int32_t block = 0; block < (network->layer_count - 2) / 2; block++, layer += 2) {
        rectify(hidden, width, place_of(network, layer, row, column), layer->inputs);
        convolve_at(network, layer, row, column, wide);
        rectify(wide, layer->outputs, narrow, layer[1].inputs);
        const double *seen = narrow;
        convolve(network, layer + 1, &seen, wide);
        for (int32_t i = 0; i < LANES * width; i++) {
            hidden[i] += wide[i];
        }
    }
    rectify(hidden, width, narrow, layer->inputs);
    const double *seen = narrow;
    convolve(network, layer, &seen, wide);
}

TARGET INLINE lanes pick(mask where, lanes yes, lanes no) {
    return (lanes)(((mask)yes & where) | ((mask)no & ~where));
}

TARGET INLINE lanes all(double x) {
    return x - (lanes){0};
}

TARGET INLINE lanes at_most(lanes x, lanes most) {
    return pick(x > most, most, x);
}

TARGET INLINE lanes at_least(lanes x, lanes least) {
    return pick(x < least, least, x);
}

/* rint of numbers under 2^51: beyond `BIG` there are no fractions. */
#define BIG 6755399441055744.0

TARGET INLINE lanes nearest(lanes x) {
    return (x + BIG) - BIG;
}

TARGET INLINE lanes exponential(lanes x) {
    const lanes halvings = nearest(x * 1.4426950408889634);
    const lanes rest = (x - halvings * 0.6931471803691238) - halvings * 1.9082149292705877e-10;
    lanes value = all(1);
#pragma GCC unroll 13
    for (int k = 13; k > 0; k--) {
        value = 1 + value * rest * (1.0 / k);
    }
    const lanes scaled = (lanes)((mask)value + ((mask)(halvings + BIG) << 52));
    return pick(x < -708.0, all(0), scaled);
}

/* 1 - exp(-x), `ratio` being exp(-x). */
TARGET INLINE lanes one_less(lanes ratio, lanes x) {
    lanes series = all(1);
#pragma GCC unroll 15
    for (int k = 16; k > 1; k--) {
        series = 1 - series * x * (1.0 / k);
    }
    return pick(x < 0.5, series * x, 1 - ratio);
}

/* One component of one channel, as pixel_choice.py names what it has. */
struct component {
    lanes scale, exponent, step, ratio, inner, place, left, ahead, behind, best;
};

/* A window of codes: the lowest, the last one's index, and which are outermost. */
struct window {
    lanes low, last;
    mask lowest, highest;
};

TARGET INLINE void look(const struct window *window, lanes mean, lanes step, struct component *k) {
    const lanes place = mean * 128 - (window->low - 0.5), rounded = nearest(place);
    const lanes ceiling = pick(rounded < place, rounded + 1, rounded);
    const lanes least = pick(window->lowest, all(1), all(0));
    const lanes most = window->last + pick(window->highest, all(1), all(2));
    const lanes left = at_most(at_least(ceiling, least), most);
    k->step = step;
    k->ratio = exponential(-step);
    k->inner = one_less(k->ratio, step);
    k->place = place;
    k->left = left;
    k->ahead = exponential(at_most((place - left) * step, all(0)));
    k->behind = exponential(at_most((left - 1 - place) * step, all(0)));
    const lanes over = pick(left == window->last + 2, (window->last + 1 - place) * step, all(0));
    k->best = k->exponent + pick(left == 0, place * step, over);
}

/* Add the component's masses, in units of exp(top), to the candidates' `totals`. */
TARGET INLINE void add_masses(const struct window *window, const struct component *k, lanes top, int32_t candidates,
                              lanes *apart, lanes *inverse, lanes *totals) {
    const mask below = k->left == 0, above = k->left == window->last + 2;
    const lanes ahead = pick(below, all(1), k->ahead), behind = pick(above, all(1), k->behind);
    const lanes far = pick(below, k->ahead, pick(above, k->behind, all(1)));
    const lanes before = k->left - 1, weight = k->scale * exponential(k->best - top);
    const lanes inner = weight * k->inner;
    lanes running = all(1);
    for (int32_t edge = 0; edge <= candidates; edge++) {
        running *= pick(edge == k->left, ahead, pick(edge > k->left, k->ratio, all(1)));
        apart[edge] = running;
    }
    running = all(1);
    for (int32_t edge = candidates; edge >= 0; edge--) {
        running *= pick(edge == before, behind, pick(edge < before, k->ratio, all(1)));
        apart[edge] = pick(edge > before, apart[edge], running);
        const mask lowest = edge ? (mask){0} : window->lowest;
        const mask infinite = lowest | (window->highest & (edge == window->last + 1));
        inverse[edge] = 1 / (1 + pick(infinite, all(0), apart[edge] * far));
    }
    for (int32_t i = 0; i < candidates; i++) {
        const lanes share = pick(i > before, apart[i], pick(i == before, all(1), apart[i + 1]));
        const mask lowest = i ? (mask){0} : window->lowest;
        const mask outermost = lowest | (window->highest & (i == window->last));
        totals[i] += pick(outermost, weight, inner) * share * (inverse[i] * inverse[i + 1]);
    }
}

/* Weigh the component by the mass that it gives the candidates of `index`. */
TARGET INLINE void take(const struct window *window, lanes index, struct component *k) {
    const mask lowest = window->lowest & (index == 0), highest = window->highest & (index == window->last);
    const lanes before = (k->place - index) * k->step, after = (index + 1 - k->place) * k->step;
    const lanes from_low = pick(lowest, all(0), exponential(pick(before > 0, -before, before)));
    const lanes from_high = pick(highest, all(0), exponential(pick(after > 0, -after, after)));
    k->scale *= pick(lowest | highest, all(1), k->inner) * (1 / (1 + from_low) * (1 / (1 + from_high)));
    k->exponent += pick(lowest, all(0), at_most(before, all(0))) + pick(highest, all(0), at_most(after, all(0)));
}

TARGET INLINE lanes gathered(const double *of, int32_t stride) {
    lanes x;
    for (int b = 0; b < LANES; b++) {
        x[b] = of[b * stride];
    }
    return x;
}

/* The most likely codes of a pixel's channels, in place of those given. */
TARGET INLINE void choose(const struct pixel_cnn *network, int32_t eps_codes, lanes *codes, lanes *means,
                          struct component *components, lanes *apart, lanes *inverse, lanes *totals) {
    const int32_t channels = network->channels, mixtures = network->mixtures;
    const int32_t stride = network->layers[network->layer_count - 1].outputs;
    const double *const weights = network->wide;
    const double *const log_scales = weights + mixtures * (1 + channels);
    const double *const links = log_scales + mixtures * channels;
    for (int32_t k = 0; k < mixtures; k++) {
        components[k].scale = all(1);
        components[k].exponent = gathered(weights + k, stride);
    }
    for (int32_t i = 0; i < channels * mixtures; i++) {
        means[i] = gathered(weights + mixtures + i, stride);
    }
    for (int32_t channel = 0; channel < channels; channel++) {
        struct window window;
        window.low = at_least(codes[channel] - eps_codes, all(LOWEST));
        window.last = at_most(codes[channel] + eps_codes, all(HIGHEST)) - window.low;
        window.lowest = window.low == LOWEST;
        window.highest = window.low + window.last == HIGHEST;
        int32_t candidates = 1;
        for (int b = 0; b < LANES; b++) {
            candidates = window.last[b] < candidates ? candidates : (int32_t)window.last[b] + 1;
        }
        lanes top = all(0);
        for (int32_t k = 0; k < mixtures; k++) {
            const int32_t i = channel * mixtures + k;
            const lanes log_scale = at_least(gathered(log_scales + i, stride), all(network->least_log_scale));
            look(&window, means[i], exponential(-log_scale) * (1.0 / 128), &components[k]);
            top = k ? at_least(top, components[k].best) : components[k].best;
        }
        for (int32_t i = 0; i < candidates; i++) {
            totals[i] = all(0);
        }
        for (int32_t k = 0; k < mixtures; k++) {
            add_masses(&window, &components[k], top, candidates, apart, inverse, totals);
        }
        lanes index = all(0), most = totals[0];
        for (int32_t i = 1; i < candidates; i++) {
            const mask better = (totals[i] > most) & (i <= window.last);
            most = pick(better, totals[i], most);
            index = pick(better, all(i), index);
        }
        for (int32_t k = 0; k < mixtures; k++) {
            take(&window, index, &components[k]);
        }
        codes[channel] = window.low + index;
        for (int32_t later = channel + 1; later < channels; later++) {
            const double *const link = links + (later * (later - 1) / 2 + channel) * mixtures;
            for (int32_t k = 0; k < mixtures; k++) {
                means[later * mixtures + k] += gathered(link + k, stride) * (codes[channel] / 128);
            }
        }
    }
}

/* Purified int8 codes (images, height, width, channels). */
TARGET void PURIFY(const struct pixel_cnn *network, const int8_t *codes, int8_t *purified,
                   size_t images, int32_t eps_codes) {
    const int32_t channels = network->channels;
    const size_t size = (size_t)network->height * network->width * channels;
    const struct layer *const first = network->layers;
    lanes pixel[channels], means[channels * network->mixtures];
    lanes apart[CODES + 1], inverse[CODES + 1], totals[CODES];
    struct component components[network->mixtures];
    for (size_t done = 0; done < images; done += LANES) {
        const int count = images - done < LANES ? (int)(images - done) : LANES;
        for (int32_t row = 0; row < network->height; row++) {
            for (int32_t column = 0; column < network->width; column++) {
                const size_t at = done * size + ((size_t)row * network->width + column) * channels;
                for (int b = 0; b < LANES; b++) {
                    for (int32_t channel = 0; channel < channels; channel++) {
                        pixel[channel][b] = b < count ? codes[at + b * size + channel] : 0;
                    }
                }
                evaluate(network, row, column);
                choose(network, eps_codes, pixel, means, components, apart, inverse, totals);
                double *const input = place_of(network, first, row, column);
                for (int b = 0; b < LANES; b++) {
                    for (int32_t channel = 0; channel < channels; channel++) {
                        const double code = pixel[channel][b];
                        input[b * first->inputs + channel] = code / 128;
                        if (b < count) {
                            purified[at + b * size + channel] = (int8_t)code;
                        }
                    }
                    input[b * first->inputs + channels] = 1;
                }
            }
        }
    }
}
