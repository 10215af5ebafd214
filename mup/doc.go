// Package mup carries hyperparameters from a small base model to a larger target by a
// parametrization rule: which initial standard deviation, learning rate, weight decay,
// Adam ε and forward multiplier each module has there.
//
// A [Rule] is data: for every module and quantity the exponents of the ratios between
// target and base, with the paper, how sure the numbers are, and what the rule covers.
// [Published] lists the rules; they can be printed, compared, edited, composed with a
// horizon rule and kept as TOML. [Transfer] applies one, and refuses with a [Refusal]
// what the rule does not cover. Sub-package snippet writes the result for trainers.
//
// Symbols: m_N = target width/base width, m_L of depth, m_E of experts, m_κ of the
// active fraction top_k/experts, m_α of an MLP's inner width over the model's width, m_h
// of the head's width, m_B of tokens a step, m_D of training tokens; η the peak
// learning rate, λ the weight decay. A value at the target is its base value times the
// product of the ratios to their exponents, so at the base itself every rule gives the
// base exactly.
//
// Numbers in, numbers out. The package reads no files, trains nothing and imports
// nothing else of the project. It never fills in what a paper does not state in
// silence: such an entry is marked not stated, and either taken as unscaled with a note
// or refused.
package mup
