// Package export writes a notebook with its results: as JSON for programs, as text
// for a terminal or a log, as Markdown, as a page of HTML, one value as CSV, Parquet or a list of JSON
// objects, and a prediction as what a trainer reads.
//
// Nothing is computed here and nothing is read from a file: the functions take a
// snapshot of a session, which should be quiet (session.Session.Wait). A cell whose
// value is not of its present text has no value here, only its error.
//
// # JSON
//
// This is a stable interface: fields are added, never renamed or given another
// meaning. [JSON] writes one object:
//
//	{"values": {name: value, …}, "errors": [error, …]}
//
// A value is there for every named statement that ran well. A number that does not
// exist or is not finite is null. N is parameters, D training tokens, B tokens per
// optimizer step, C training FLOPs; "lr" is a learning rate η* unless said otherwise;
// logarithms are natural; losses compared with another loss are relative (0.01 is 1%).
//
// An error is there for every statement that keeps a run from succeeding:
//
//	cell     its result's name; "#3" for the third statement if it has none
//	line     line of the notebook, from 1
//	col      column in characters, from 1
//	kind     "statement" (it does not parse or names something unknown), "failed",
//	         "waiting" (for a cell that failed: "waits for law"),
//	         "unfinished" (a time limit came first), "expectation" (not met)
//	message  what is wrong and, after a semicolon, the way out
//
// Every value has "type". All but predictions have "notes", a list of what the
// reader should know (columns taken, runs skipped); a prediction has "warnings".
//
// A key names a cell by whichever of N, D and B it is of, and by "cell" for further
// columns ("seed=1").
//
// curves:
//
//	cells      a list of {key, lr, ln_lr_se, loss, r2, n, flags, runs, diverged, excluded}:
//	           η* at the vertex, the standard error of ln η*, the fitted loss there, R²
//	           over the n points fitted, reasons to doubt it, runs of the cell, and how
//	           many of them diverged or were taken out by hand.
//	           Where the data only bound η*, lr, ln_lr_se and loss are null and the cell
//	           has "bound": "below" or "above", and "bound_lr", the edge it lies beyond.
//	form, window, batch, runs, diverged
//	           how the curves were made, in the notebook's notation; runs given, runs
//	           set apart
//
// Flags: argmin_at_grid_edge, argmin_one_from_edge, fewer_than_5_points, concave,
// vertex_outside_fitted_points, vertex_outside_grid, window_contains_loss_over_1.1x_min,
// too_few_points, flat, non_positive_loss, all_diverged, diverged_set_apart,
// every_higher_lr_diverged.
//
// law:
//
//	form       "power", "power_B", "N_only", "D_only", "C_only" or "custom"
//	custom     the formula as written, with form "custom" only
//	formula    the law with its numbers, for people
//	coef       {"C", "N", "D", …}: the constant C and the exponents; with form
//	           "C_only" the exponent is "FLOPs"; with "custom" the parameters
//	se         standard errors by the same names; that of C is the one of ln C
//	errors     where these and the intervals come from: "t", "jackknife" or "bootstrap"
//	ci95       95% intervals by the same names, [lo, hi]; C on its own scale
//	t95        ci95 again where errors is "t", absent else
//	pinned     names of coefficients held fixed; their se is null and their interval
//	           [null, null]
//	n, dof     cells used, degrees of freedom
//	r2         of ln η*
//	resid_sd   residual standard deviation in ln η
//	batch      condition the law carries: "tuned", "fixed(524288)", "free"
//	cells      a list of {key, lr, fitted, residual, used, why}: η* measured and by the
//	           law, ln of their ratio, whether the cell was used and why not. lr and
//	           residual are null where the data only bound η* and the cell was not used.
//
// prediction:
//
//	target     those of N, D, B, C, active, experts, active_experts, loss that were given
//	lr         η* at the target
//	low, high  interval at "level"; null where the law has none
//	band       near-optimal learning rates [lo, hi]: within "near" of the best loss
//	at, at_regret
//	           the other learning rate asked about and its relative loss; null if none was
//	interval_regret
//	           relative loss of lr if the truth lies at the worse end of the interval
//	extrapolation
//	           by N, D, C, B: the target over the nearer end of the fitted range; 1 inside
//	windows    a list of {window, lr, n}, and error where there is no law: the
//	           prediction under other windows of the curves
//	beside     published laws at the target, a list of {name, lr, batch_tokens,
//	           comparable, why}; lr is null where a law does not apply
//	warnings   reasons to doubt it, the gravest first
//	law, batch, batch_tokens
//	           the law as a formula, its batch condition, and the batch size of its own
//	           that a published law may state
//
// table and view:
//
//	rows, source
//	columns    a list of {name, kind, role}: kind "number" or "text"; role, where the
//	           column has one, "N", "D", "lr", "batch", "loss" or "C"
//	data       of a view only: its rows, each a list in the order of columns
//
// comparison:
//
//	holdout    in the notebook's notation
//	train, test
//	           keys of the cells fitted and held out
//	rows       a list of {name, mean_abs_err, bias, rms_err, max_abs_err, mean_penalty,
//	           max_penalty, coverage, in_sample, comparable, condition, error, cells}:
//	           errors are in ln η*, penalties relative losses; cells is a list of {key,
//	           lr, measured, ln_err, penalty, clamped, covered}
//
// shape, rule, transfer, plan: summary (a line), tables: a list of {name, columns, rows},
// each row a list in the order of columns; a number or a text. Numbers are in full: of a
// transfer's first table, "target", those of every module at the target.
//
// sweep: as a view, with started and over, the runs asked for and those whose loss counts;
// of coordinates, modulewise and paradigms also study, once their runs say something: an
// object of summary and tables as above.
//
// published: name, title, source, formula, batch, means, conditions, status, needs,
// relative, ranges ({"N": [lo, hi]}), anchor ({N, D, lr} or null).
//
// picture: of (the type of the value drawn), file (from the notebook's folder where it
// lies inside; null for the screen alone).
//
// note: text. expectation: met, got, said, path.
package export
