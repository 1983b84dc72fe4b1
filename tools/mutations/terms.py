"""Terms of the gradient, and the test that has to notice when one is gone.

`TERMS` maps a file below `aoi-encoder/src` to entries (term, text, text without the term, test). The text occurs exactly once in its file. What is without a
term still compiles: mostly it is the term times zero.
"""

MAE = ("gradient", "every_parameter_agrees_with_central_differences")
PORTIONS = ("gradient", "portions_with_their_shares_add_up_to_the_whole")
THREADS = ("gradient", "a_batch_on_any_number_of_threads_has_the_gradient_of_its_parts")
SINGLE = ("gradient", "gradients_of_f32_and_bf16_are_near_those_of_f64")
RECOMPUTED = ("gradient", "recomputing_gives_the_same_bits")
TUNED = ("finetune_gradient", "every_trained_number_agrees_with_central_differences")
PYRAMID = ("finetune_gradient", "every_trained_number_of_a_pyramid_agrees_with_central_differences")
TUNED_TORCH = ("finetune_gradient", "gradients_are_those_of_torch")
TUNED_RECOMPUTED = ("finetune_gradient", "recomputing_gives_the_same_bits")
TORCH = ("trajectory", "gradients_in_f64_are_those_of_torch")
TORCH_F32 = ("trajectory", "gradients_in_f32_are_those_of_torch")
STEPS = ("trajectory", "ten_steps_in_f64_are_those_of_torch")
STEPS_F32 = ("trajectory", "ten_steps_in_f32_are_those_of_torch")
LOSS = ("lib", "finetune::loss::tests::the_gradient_agrees_with_central_differences")
CONVOLUTION = ("lib", "finetune::upernet::convolution::tests::every_size_gives_the_sum_over_the_taps_on_pictures_of_less_and_more_than_a_band")
POOL = ("lib", "finetune::upernet::pool::tests::the_first_of_equal_values_is_kept_image_by_image")
ENLARGE = ("lib", "finetune::enlarge::tests::the_way_back_is_the_transpose")
TUNED_THREADS = ("lib", "finetune::batch::tests::a_batch_has_the_gradient_of_its_images_on_any_number_of_threads")
CLIP = ("lib", "optimise::clip::tests::long_gradients_are_shortened_and_short_ones_kept")
AVERAGE = ("lib", "optimise::average::tests::the_mean_follows_the_weights_at_the_stated_pace")

LINEAR_WEIGHT = ("dy_rows.t().times(Matrix::new(x, self.inputs)),", "dy_rows.t().times(Matrix::new(x, self.inputs)).scaled(T::default()),")
LINEAR_BIAS = ("*db += dy)", "*db += dy * T::default())")
LINEAR_INPUT = ("dy_rows.times(w));", "dy_rows.times(w).scaled(T::default()));")

TERMS = {
    "gradient/linear.rs": [
        ("weight", *LINEAR_WEIGHT, MAE),
        ("weight, torch's gradient", *LINEAR_WEIGHT, TORCH),
        ("weight, ten steps", *LINEAR_WEIGHT, STEPS),
        ("weight, ten steps in f32", *LINEAR_WEIGHT, STEPS_F32),
        ("bias", *LINEAR_BIAS, MAE),
        ("bias, torch's gradient in f32", *LINEAR_BIAS, TORCH_F32),
        ("input", *LINEAR_INPUT, MAE),
        ("input, fine-tuning", *LINEAR_INPUT, TUNED),
        ("weight of earlier portions", "Start::Target,", "Start::Zero,", PORTIONS),
    ],
    "gradient/norm.rs": [
        ("gamma", "*dw += dy * ((x - mean) * scale);", "*dw += T::default() * dy * ((x - mean) * scale);", MAE),
        ("beta", "*db += dy;", "*db += dy * T::default();", MAE),
        ("input: gamma", "*dz = dy * w;", "*dz = dy + T::default() * w;", MAE),
        ("input: dz itself", "*dx += (dz - along_one", "*dx += (T::default() * dz - along_one", MAE),
        ("input: mean of dz", "(dz - along_one -", "(dz -", MAE),
        ("input: mean of dz z", "- (x - mean) * scale * along_z)", "- T::default() * x * along_z)", MAE),
        ("input: deviation", "* along_z) * scale;", "* along_z);", MAE),
        ("input: what came past the block", "*dx += (dz", "*dx = (dz", MAE),
        ("beyond one portion", "*g += sum", "*g = sum", PORTIONS),
    ],
    "gradient/attention.rs": [
        ("values", "Matrix::new(p, tokens).t().times(dout),", "Matrix::new(p, tokens).t().times(dout).scaled(T::default()),", MAE),
        ("weights of the softmax", "dout.times(part(2).t()));", "dout.times(part(2).t()).scaled(T::default()));", MAE),
        ("softmax: the sum that is taken off", "(*dp - lost)", "(*dp - T::default() * lost)", MAE),
        ("softmax: its weight", "*dp = p * (*dp - lost)", "*dp = T::default() * p + (*dp - lost)", MAE),
        ("queries", "ds.times(part(1)).scaled(scale),", "ds.times(part(1)).scaled(T::default()),", MAE),
        ("queries: scale", "ds.times(part(1)).scaled(scale),", "ds.times(part(1)),", MAE),
        ("keys", "ds.t().times(part(0)).scaled(scale),", "ds.t().times(part(0)).scaled(T::default()),", MAE),
        ("keys: scale", "ds.t().times(part(0)).scaled(scale),", "ds.t().times(part(0)),", MAE),
    ],
    "gradient/feedforward.rs": [
        ("GELU: distribution", "da * (below(x) + x * density(x))", "da * (x * density(x))", MAE),
        ("GELU: density", "da * (below(x) + x * density(x))", "da * below(x)", MAE),
        ("SwiGLU: gate", "*du = da * v * s * (", "*du = T::default() * da * v * s * (", MAE),
        ("SwiGLU: slope of the gate's sigmoid", "(T::of(1.0) + u * (T::of(1.0) - s))", "T::of(1.0)", MAE),
        ("SwiGLU: value", "*dv = da * u * s;", "*dv = T::default() * da * u * s;", MAE),
        ("SwiGLU: value, fine-tuning", "*dv = da * u * s;", "*dv = T::default() * da * u * s;", TUNED),
    ],
    "gradient/block.rs": [
        ("LayerScale: scale", "*ds += dy * b;", "*ds += T::default() * dy * b;", MAE),
        ("LayerScale: branch", "*db = s * dy;", "*db = T::default() * s + dy;", MAE),
        ("attention's branch", "self.norm1.backward(p, g, x, dnormed, dx);", "", MAE),
        ("feed-forward's branch", "self.norm2.backward(p, g, middle, dnormed, dx);", "", MAE),
    ],
    "gradient/stack.rs": [
        ("levels of a pyramid", "*dx += from", "*dx += T::default() * from", PYRAMID),
        ("recomputed activations", "block.forward(p, tokens, after, &mut kept[0], scratch);", "", RECOMPUTED),
        ("recomputed activations, fine-tuning", "block.forward(p, tokens, after, &mut kept[0], scratch);", "", TUNED_RECOMPUTED),
    ],
    "gradient/tokens.rs": [
        ("class token", "add(self.prefix.start + i * d, row);", "if i > 0 { add(self.prefix.start + i * d, row); }", MAE),
        ("registers", "add(self.prefix.start + i * d, row);", "if i == 0 { add(self.prefix.start, row); }", MAE),
        ("positions of class token and registers", "add(self.positions.start + i * d, row);", "", MAE),
        ("positions of patches", "add(self.positions.start + (config.position_prefix() + patch) * d, row);", "let _ = patch;", MAE),
        ("patch embedding", "dprojected.extend_from_slice(row);", "dprojected.extend(row.iter().map(|_| T::default()));", MAE),
        ("patch embedding, fine-tuning", "dprojected.extend_from_slice(row);", "dprojected.extend(row.iter().map(|_| T::default()));", TUNED),
    ],
    "gradient/shards.rs": [
        ("a shard", "*t += g)", "*t = g)", THREADS),
        ("what the last batch left", "piece.fill(T::default())", "()", THREADS),
        ("a shard, fine-tuning", "*t += g)", "*t = g)", TUNED_THREADS),
        ("what a thread's last shard left", "gradient.clear();", "", TUNED_THREADS),
    ],
    "gradient/product.rs": [
        ("scale of products in tiles", "let Terms { a, b, scale } = terms;", "let Terms { a, b, .. } = terms;\n        let scale = 1.0;", SINGLE),
    ],
    "mae/pass.rs": [
        ("loss: prediction", "*p = factor * (*p - t)", "*p = factor * (T::default() * *p - t)", MAE),
        ("loss: target", "*p = factor * (*p - t)", "*p = factor * (*p - T::default() * t)", MAE),
        ("loss: share of a portion", "T::of(2.0 * share /", "T::of(2.0 /", PORTIONS),
        ("normalised targets", "target::normalise(target);", "", TORCH),
        ("decoder, from the masked patches", "dsequence[row * d..(row + 1) * d].copy_from_slice(d_row);", "let _ = (row, d_row);", MAE),
        ("mask token", "None => &mut g[self.mask_token.clone()],", "None => continue,", MAE),
        ("encoder, from the decoder", "Some(i) => &mut dembedded[i * d..(i + 1) * d],", "Some(_) => continue,", MAE),
        ("encoder, before its last norm", "self.norm.backward(p, g, tape.encoder.last(), dnormed, dx);", "let _ = dnormed;", MAE),
        ("tokens", "self.tokens.backward((p, g), &shown, &tape.pixels, dx);", "", MAE),
        ("what the last portion left", "all.fill(T::default());", "", THREADS),
    ],
    "mae/target.rs": [
        ("normalised targets: mean", "(*v - mean) / deviation", "*v / deviation", TORCH),
        ("normalised targets: unbiased variance", "/ (n - 1.0)", "/ n", TORCH),
        ("normalised targets, ten steps", "(*v - mean) / deviation", "*v / deviation", STEPS),
    ],
    "mae/batch.rs": [
        ("share of a part", "(images, &masks[part]), share, tape)", "(images, &masks[part]), 1.0, tape)", THREADS),
    ],
    "finetune/network.rs": [
        ("enlargement", "self.enlarge.backward(c, large, small);", "small.fill(T::default()); let _ = large;", TUNED),
        ("standardisation", "*dx *= T::of(scale.into())", "*dx *= T::of(1.0 + 0.0 * f64::from(scale))", TUNED),
        ("final norm of a level", "self.norm.backward(p, g, patches, dlevel, &mut dpatches);", "let _ = dlevel;", TUNED),
        ("final norm of a level, pyramid", "self.norm.backward(p, g, patches, dlevel, &mut dpatches);", "let _ = dlevel;", PYRAMID),
        ("tokens of a level", "tokens[prefix * d..].copy_from_slice(patches)", "{ let _ = (tokens, patches); }", TUNED),
        ("tokens of a level, torch's gradient", "tokens[prefix * d..].copy_from_slice(patches)", "{ let _ = (tokens, patches); }", TUNED_TORCH),
        ("tokens", "self.tokens.backward((p, g), &vec![&self.all[..]; b], pixels, &dx);", "let _ = (b, pixels);", TUNED),
    ],
    "finetune/enlarge.rs": [
        ("weights of the terms", "add(c, dsmall, patch, T::of(weight), dlarge, pixel)", "add(c, dsmall, patch, T::of(weight.ceil()), dlarge, pixel)", ENLARGE),
        ("weights of the terms, fine-tuning", "add(c, dsmall, patch, T::of(weight), dlarge, pixel)", "add(c, dsmall, patch, T::of(weight.ceil()), dlarge, pixel)", TUNED),
    ],
    "finetune/loss.rs": [
        ("cross-entropy: pixels without the class", "((1.0 - t) * p - self", "(-self", LOSS),
        ("cross-entropy: pixels with the class", "- self.weights[i] * t * s) / count", ") / count", LOSS),
        ("cross-entropy: weight of the class", "- self.weights[i] * t * s) / count", "- t * s) / count", LOSS),
        ("cross-entropy, fine-tuning", "let of_entropy = (", "let of_entropy = 0.0 * (", TUNED),
        ("cross-entropy, torch's gradient", "let of_entropy = (", "let of_entropy = 0.0 * (", TUNED_TORCH),
        ("Dice: overlap", "(2.0 * t - overlaps[i]) /", "(-overlaps[i]) /", LOSS),
        ("Dice: sum", "(2.0 * t - overlaps[i]) /", "(2.0 * t) /", LOSS),
        ("Dice: slope of the sigmoid", "* of_overlap * p * s)", "* of_overlap)", LOSS),
        ("Dice, fine-tuning", "* of_overlap * p * s)", "* 0.0 * of_overlap * p * s)", TUNED),
    ],
    "finetune/tuning.rs": [
        ("low rank: A", "up.t().times(dw).scaled(scale),", "up.t().times(dw).scaled(T::default()),", TUNED),
        ("low rank: B", "dw.times(down.t()).scaled(scale),", "dw.times(down.t()).scaled(T::default()),", TUNED),
        ("low rank: scale of A", "up.t().times(dw).scaled(scale),", "up.t().times(dw),", TUNED),
        ("low rank: scale of B", "dw.times(down.t()).scaled(scale),", "dw.times(down.t()),", TUNED),
        ("low rank: values", "for (part, name) in [(0, \"query\"), (2, \"value\")] {", "for (part, name) in [(0, \"query\"), (1, \"value\")] {", TUNED_TORCH),
        ("head beside low rank or frozen", "dtrained[here..].copy_from_slice(&dweights[there..]);", "let _ = (here, there);", TUNED),
    ],
    "finetune/upernet/convolution.rs": [
        ("1 x 1: weight", "dy.t().times(Matrix::new(x, columns)));", "dy.t().times(Matrix::new(x, columns)).scaled(T::default()));", PYRAMID),
        ("1 x 1: input", "Start::Target, dy.times(w));", "Start::Target, dy.times(w).scaled(T::default()));", PYRAMID),
        ("1 x 1: input, by hand", "Start::Target, dy.times(w));", "Start::Target, dy.times(w).scaled(T::default()));", CONVOLUTION),
        ("3 x 3: weight", "dy.t().times(Matrix::new(taps, columns)),", "dy.t().times(Matrix::new(taps, columns)).scaled(T::default()),", PYRAMID),
        ("3 x 3: weight, bands but the last", "(&mut *dw, columns),\n                Start::Target,", "(&mut *dw, columns),\n                Start::Zero,", CONVOLUTION),
        ("3 x 3: input", "*dx += d)", "*dx += T::default() * d)", PYRAMID),
        ("3 x 3: input, taps but the last", "*dx += d)", "*dx = d)", CONVOLUTION),
    ],
    "finetune/upernet/batch_norm.rs": [
        ("gamma", "dw[i] += (", "dw[i] += 0.0 * (", PYRAMID),
        ("beta", "db[i] += dv.to_f64();", "db[i] += 0.0 * dv.to_f64();", PYRAMID),
        ("rectifier", "*dv = T::default();", "", PYRAMID),
        ("input: dz itself", "(*dx - along_one[i]", "(T::default() * *dx - along_one[i]", PYRAMID),
        ("input: mean of dz", "(*dx - along_one[i] -", "(*dx -", PYRAMID),
        ("input: mean of dz z", "- z * along_z[i])", "- T::default() * z)", PYRAMID),
        ("input: gamma", "* w[i] * scale[i];", "* scale[i];", PYRAMID),
        ("input: deviation", "* w[i] * scale[i];", "* w[i];", PYRAMID),
    ],
    "finetune/upernet/pool.rs": [
        ("largest value", "dx[place * c + i % c] += dy;", "dx[place * c + i % c] += T::default() * dy;", PYRAMID),
        ("largest value, by hand", "dx[place * c + i % c] += dy;", "dx[place * c + i % c] += T::default() * dy;", POOL),
        ("largest value of more than one cell", "dx[place * c + i % c] += dy;", "dx[place * c + i % c] = dy;", PYRAMID),
    ],
    "finetune/upernet/mod.rs": [
        ("fusion: maps of the front levels", "cut(&dstacked, (across, level * c), dfused, c);", "dfused.fill(T::default());", PYRAMID),
        ("fusion: map of the last level", "cut(&dstacked, (across, front * c), dfused, c);", "dfused.fill(T::default());", PYRAMID),
        ("merged: what comes from the levels in front", "*dy += behind)", "*dy += T::default() * behind)", PYRAMID),
        ("merged: to the lateral", "dfused.copy_from_slice(&dmerged);", "dfused.fill(T::default());", PYRAMID),
        ("smoothing", "Some(&mut dmerged),", "None,", PYRAMID),
        ("lateral", "dx.as_deref_mut(),", "None,", PYRAMID),
        ("bottleneck", "Some(&mut djoined),", "None,", PYRAMID),
        ("joined: the last level itself", "cut(&djoined, (across, 0), dlast, d);", "let _ = dlast;", PYRAMID),
        ("joined: the coarse grids", "cut(&djoined, (across, d + i * c), dfused, c);", "dfused.fill(T::default()); let _ = i;", PYRAMID),
        ("coarse grids: enlargement", "enlarge.backward(c, large, small);", "let _ = (enlarge, large, small);", PYRAMID),
        ("coarse grids: pooling", "MaxPool::backward(d, &kept.places, &dpooled, dlast);", "let _ = (dlast, dpooled);", PYRAMID),
        ("coarse grids: pooling, torch's gradient", "MaxPool::backward(d, &kept.places, &dpooled, dlast);", "let _ = (dlast, dpooled);", TUNED_TORCH),
    ],
    "finetune/batch.rs": [
        ("share of an image", "(loss, share, depth), tape)", "(loss, 1.0 + 0.0 * share, depth), tape)", TUNED_THREADS),
    ],
    "optimise/adamw.rs": [
        ("first moment: its past", "self.betas.0 * *m +", "T::default() * *m +", STEPS),
        ("first moment: the gradient", "self.news.0 * g;", "T::default() * g;", STEPS),
        ("second moment: its past", "self.betas.1 * *v +", "T::default() * *v +", STEPS),
        ("second moment: the gradient", "+ self.news.1 * g * g;", "+ T::default() * g * g + self.epsilon;", STEPS),
        ("weight decay", "keep: T::of(1.0 - rate * decay),", "keep: T::of(1.0 - 0.0 * rate * decay),", STEPS),
        ("weight decay of matrices alone", "if tensor.role == Role::Matrix { weight_decay } else { 0.0 }", "weight_decay", STEPS),
        ("correction of the first moment", "size: T::of(rate / correction(betas.0)),", "size: T::of(rate),", STEPS),
        ("correction of the second moment", "root: T::of(root),", "root: T::of(1.0 + 0.0 * root),", STEPS),
    ],
    "optimise/clip.rs": [
        ("factor", "*g *= factor)", "*g *= T::of(1.0))", STEPS),
        ("factor, by hand", "*g *= factor)", "*g *= T::of(1.0))", CLIP),
    ],
    "optimise/schedule.rs": [
        ("warm-up", "self.peak * step as f64 / self.warm_up as f64;", "self.peak;", STEPS),
        ("cosine", "0.5 * (1.0 +", "0.5 * (1.0 + 0.0 *", STEPS),
    ],
    "optimise/average.rs": [
        ("weights", "*m += news * (w - *m)", "*m += news * (0.0 * w - *m)", AVERAGE),
        ("mean", "*m += news * (w - *m)", "*m += news * w", AVERAGE),
    ],
}
