package importers

import (
	"math"
	"slices"
	"testing"

	"github.com/etastar/etastar/session/table"
)

// known is a value of a shared file, as it is written there.
type known struct {
	row    int
	column string
	value  float64
}

// Values of the shared files and directories, compared bit by bit.
func TestSharedValues(t *testing.T) {
	smoothed5 := Options{Final: FinalSmoothed, Window: 5}
	tests := []struct {
		path        string
		options     Options
		rows, width int
		values      []known
	}{
		{"jsonl_run_dirs", Options{}, 2, 33, []known{
			{0, "lr", 1},
			{0, "train_loss", 4.432066917419434},
			{0, "val_loss", 4.405236530303955},
			{0, "step", 5000},
			{0, "last/lr", 0},
			{1, "lr", 0.001},
			{1, "train_loss", 1.5819635391235352},
			{1, "val_loss", 1.647931158542633},
			{1, "wallclock", 1736.4820294380188},
		}},
		{"jsonl_run_dirs", Options{Final: FinalBest}, 2, 33, []known{{0, "train_loss", 4.318294525146484}, {1, "train_loss", 1.5196983814239502}, {1, "val_loss", 1.5988967895507813}}},
		{"jsonl_run_dirs", smoothed5, 2, 33, []known{{0, "train_loss", 4.407389545440674}, {1, "train_loss", 1.5824203968048096}}},
		{"jsonl_run_dirs", Options{Final: FinalValidation}, 2, 32, []known{{0, "val_loss", 4.405236530303955}, {1, "val_loss", 1.647931158542633}}},
		{"wandb_chart_csv/wandb_export.csv", Options{}, 8, 3, []known{
			{0, "train/loss", 3.7747888565063477},
			{0, "Step", 50},
			{2, "train/loss", 12.2328462600708},
			{2, "Step", 166},
			{5, "train/loss", 3.2849113941192627},
			{5, "Step", 385},
			{7, "train/loss", 6.8979668617248535},
		}},
		{"wandb_chart_csv/wandb_export.csv", Options{Final: FinalBest}, 8, 3, []known{{2, "train/loss", 7.9701080322265625}, {5, "train/loss", 3.2631642818450928}}},
		{"wandb_history_csv/OLMo-ladder_190M-1xC.csv", Options{}, 37, 97, []known{
			{0, "_step", 200},
			{0, "eval/c4_en-validation/CrossEntropyLoss", 6.029934883117676},
			{18, "eval/c4_en-validation/CrossEntropyLoss", 3.7519338130950928},
			{36, "_step", 7272},
			{36, "optim/learning_rate_group0", 9.72728518721015e-05},
			{36, "batch_size_in_tokens", 524288},
		}},
		{"wandb_history_csv", Options{}, 1, 98, []known{{0, "eval/c4_en-validation/CrossEntropyLoss", 3.600973129272461}, {0, "learning_rate_peak", 0.000972728518721015}, {0, "throughput/total_tokens", 3812622336}}},
		{"wandb_runs_table_csv/preflight_mup_olmo_variant.csv", Options{}, 24, 3, []known{{0, "scaling/global_loss", 59.487030029296875}, {23, "scaling/global_loss", 3.3392860889434814}}},
		{"nanogpt_stdout_and_wandb_run_dir", Options{}, 1, 0, []known{
			{0, "learning_rate", 0.0006}, {0, "min_lr", 6e-05}, {0, "n_layer", 12}, {0, "max_iters", 600000}, {0, "val/loss", 4.266106605529785}, {0, "train/loss", 0.03039759211242199},
		}},
		{"nanogpt_stdout_and_wandb_run_dir/config.yaml", Options{}, 1, 33, []known{{0, "weight_decay", 0.1}, {0, "gradient_accumulation_steps", 40}, {0, "warmup_iters", 2000}}},
		{"optuna_trials_csv/optuna_trials.csv", Options{}, 20, 10, []known{{0, "value", 85.025}, {7, "value", 87.28333333333333}, {7, "params_learning_rate", 0.00041472741694938923}, {19, "params_batch_size", 32}}},
		{"ray_tune_trial_dir", Options{}, 1, 0, []known{
			{0, "lr", 5e-05},
			{0, "training_iteration", 200},
			{0, "episode_reward_mean", 2324.433615775931},
			{0, "info/learner/default_policy/total_loss", 414.9051818847656},
			{0, "timesteps_total", 12000000},
		}},
		{"ray_tune_trial_dir/result.json", Options{}, 200, 136, []known{{199, "episode_reward_mean", 2324.433615775931}, {199, "config/lr", 5e-05}}},
		{"ray_tune_trial_dir/progress.csv", Options{}, 200, 43, []known{{199, "info/learner/default_policy/cur_lr", 4.999999873689376e-05}, {0, "episode_reward_mean", -8112.181357017001}}},
		{"algoperf_csv", Options{}, 1, 26, []known{
			{0, "beta2", 0.98}, {0, "l2", 0.012}, {0, "global_step", 10711}, {0, "loss", 0.12836254}, {0, "validation/loss", 0.1448993829138141}, {0, "score", 7703.805176973343},
		}},
		{"algoperf_csv", Options{Final: FinalBest}, 1, 26, []known{{0, "loss", 0.12176973}, {0, "validation/loss", 0.1298607975483242}, {0, "test/loss", 0.1325836732113486}}},
		{"algoperf_csv/measurements.csv", Options{}, 165, 14, []known{{0, "grad_norm", 3.7335536}, {1, "validation/loss", 0.3789713894594941}, {164, "score", 7703.805176973343}}},
		{"tsv/results.tsv", Options{}, 10, 4, []known{{0, "val_bpb", 1.36330099}, {9, "artifact_bytes", 15066998}, {9, "memory_mb", 19599}}},
		{"markdown_table/parameter_golf_lr_table.md", Options{}, 6, 3, []known{{1, "MATRIX_LR", 0.04}, {4, "val_bpb (post-quant)", 1.2230}, {5, "MATRIX_LR", 0.015}}},
		{"ragged_csv/sweep_results_aligned.csv", Options{}, 36, 28, []known{{35, "eval_loss", 0.443800151348114}, {35, "learning_rate", 0.0004}}},
	}
	for _, tt := range tests {
		t.Run(tt.path+" "+tt.options.Final, func(t *testing.T) {
			tb := mustRead(t, shared(t, "data/formats/"+tt.path), tt.options)
			if tb.Rows != tt.rows || tt.width > 0 && len(tb.Columns) != tt.width {
				t.Errorf("%d rows, %d columns; want %d, %d", tb.Rows, len(tb.Columns), tt.rows, tt.width)
			}
			for _, v := range tt.values {
				i := slices.IndexFunc(tb.Columns, func(c *table.Column) bool { return c.Name == v.column })
				if i < 0 {
					t.Errorf("no column %s", v.column)
				} else if got := tb.Columns[i].Value(v.row); math.Float64bits(got) != math.Float64bits(v.value) {
					t.Errorf("%s of row %d is %v, want %v", v.column, v.row, got, v.value)
				}
			}
		})
	}
}

func TestSharedNames(t *testing.T) {
	tb := mustRead(t, shared(t, "data/formats/wandb_runs_table_csv/preflight_mup_olmo_variant.csv"), Options{})
	pattern := SuggestPattern(tb.Column("Name").Words[1:])
	tb, err := Lift(tb, "", pattern)
	if err != nil {
		t.Fatal(err)
	}
	lr := tb.Column("lr")
	if pattern != "lr{lr}" || lr.Value(0) != 0.05 || lr.Value(8) != 1e-4 || lr.Value(23) != 5e-4 {
		t.Errorf("%s: %v", pattern, lr.Numbers)
	}
	tb = mustRead(t, shared(t, "data/steplaw/dense_lr_bs_loss.csv"), Options{})
	if got := SuggestPattern(tb.Column("exp_name").Words[1:]); got == "" {
		t.Errorf("nothing is suggested for %q", tb.Column("exp_name").Words[1])
	} else if lifted, err := ParsePattern(got); err != nil {
		t.Error(err)
	} else {
		for i := range tb.Rows {
			if v, ok := lifted.Match(tb.Column("exp_name").String(i)); ok && math.Abs(v[slices.Index(lifted.Fields(), "lr")]/tb.Column("lr").Value(i)-1) > 1e-2 {
				t.Errorf("row %d: %v from %q, the column has %v", i, v, tb.Column("exp_name").String(i), tb.Column("lr").Value(i))
			}
		}
	}
}
