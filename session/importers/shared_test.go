package importers

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etastar/etastar/session/table"
)

// shared returns a file of the data kept beside the repository.
func shared(t *testing.T, path string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if filepath.Dir(dir) == dir {
			t.Fatal("no go.mod above")
		}
		dir = filepath.Dir(dir)
	}
	path = filepath.Join(dir, "..", "shared", path)
	if _, err := os.Stat(path); err != nil {
		t.Skip("needs ../shared (real data is not redistributed)")
	}
	return path
}

func TestStepLaw(t *testing.T) {
	tb := mustRead(t, shared(t, "data/steplaw/dense_lr_bs_loss.csv"), Options{})
	if tb.Rows != 1911 || len(tb.Columns) != 13 || len(tb.Notes) != 0 {
		t.Fatalf("%d rows, %d columns, notes %v", tb.Rows, len(tb.Columns), tb.Notes)
	}
	for _, c := range tb.Columns {
		if want := c.Name == "exp_name"; (c.Kind == table.Text) != want {
			t.Errorf("column %s: text is %v", c.Name, !want)
		}
	}
	if got := tb.Column("smooth loss").Value(0); got != 2.3976109618296744 {
		t.Errorf("first smooth loss %v", got)
	}
	tb, err := table.Assign(tb, map[table.Role]string{table.RoleBatch: "bs*2048"})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`taken by name: N=N D=D lr=lr loss="smooth loss"`,
		`loss = "smooth loss" (also: "loss"); change with loss="loss"`,
		"lr: 12 values are written in two roundings within 1% (0.000345, 0.0003453): grouped in cells; fits use the values as written",
	}
	if got := strings.Join(tb.Notes, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("notes\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	kept, err := table.Where(tb, `loss < 5 && bs*2048 == 2^21 && exp_name contains "lr3.453e-04"`)
	if err != nil || kept.Rows == 0 || kept.Rows > 100 {
		t.Errorf("%d rows kept, %v", kept.Rows, err)
	}
}

// Every shared file is read, or refused with an error that says why.
func TestSharedFormats(t *testing.T) {
	tests := []struct {
		path        string
		options     Options
		rows, width int
		roles       string // as in the note
		note, err   string
	}{
		{path: "algoperf_csv/eval_measurements.csv", rows: 64, width: 12, roles: `loss="validation/loss"`},
		{path: "algoperf_csv/measurements.csv", rows: 165, width: 14, roles: `loss="validation/loss"`},
		{path: "algoperf_csv/hparams.json", rows: 1, width: 11},
		{path: "optuna_trials_csv/optuna_trials.csv", rows: 20, width: 10, roles: "lr=params_learning_rate batch=params_batch_size"},
		{path: "ragged_csv/sweep_results.csv", err: "line 20: expected 13 fields as in the header, found 28"},
		{
			path: "ragged_csv/sweep_results.csv", options: Options{Ragged: true}, rows: 18, width: 13, roles: "N=num_parameters lr=learning_rate loss=eval_loss",
			note: "18 rows with the wrong number of fields left out (lines 20, 21, 22, 23, 24, …)",
		},
		{path: "ragged_csv/sweep_results_aligned.csv", rows: 36, width: 28, roles: "N=num_parameters lr=learning_rate loss=eval_loss"},
		{path: "ray_tune_trial_dir/progress.csv", rows: 200, width: 43, roles: `lr="info/learner/default_policy/cur_lr"`},
		{path: "ray_tune_trial_dir/result.json", rows: 200, width: 136, roles: `lr="config/lr" batch="config/train_batch_size"`},
		{path: "ray_tune_trial_dir/params.json", rows: 1, width: 93, roles: "lr=lr batch=train_batch_size"},
		{path: "tsv/results.tsv", rows: 10, width: 4, roles: "loss=val_bpb"},
		{path: "wandb_chart_csv/wandb_export.csv", rows: 8, width: 3, roles: `loss="train/loss"`},
		{path: "wandb_chart_csv/wandb_export.csv", options: Options{Format: "csv"}, rows: 386, width: 25, roles: `loss="gpt2_last_char_to_char1729642919.4054031 - train/loss"`},
		{
			path: "wandb_history_csv/OLMo-ladder_190M-1xC.csv", rows: 37, width: 97,
			roles: `D="throughput/total_tokens" lr=learning_rate_peak batch=batch_size_in_tokens loss="eval/ice-validation/CrossEntropyLoss"`,
		},
		{path: "wandb_runs_table_csv/preflight_mup_olmo_variant.csv", rows: 24, width: 3, roles: `loss="scaling/global_loss"`},
		{
			path: "markdown_table/parameter_golf_lr_table.md", rows: 6, width: 3, roles: `lr=MATRIX_LR loss="val_bpb (post-quant)"`,
			note: `column "MATRIX_LR": the remarks after its numbers are dropped, as in "0.04 (default)"`,
		},
		{path: "hf_trainer_state/trainer_state.json", rows: 31, width: 37, roles: "lr=learning_rate loss=loss"},
		{path: "jsonl_run_dirs/lr_sweep_1/metrics.jsonl", rows: 550, width: 6, roles: "lr=lr loss=val_loss"},
		{path: "jsonl_run_dirs/batch_size_64/metrics.jsonl", err: "the file is empty"},
		{path: "nanogpt_stdout_and_wandb_run_dir/wandb-summary.json", rows: 1, width: 9, roles: `lr=lr loss="val/loss"`},
		{path: "nanogpt_stdout_and_wandb_run_dir/output.log", rows: 2156, width: 6, roles: `loss="val loss"`},
		{path: "llmc_main_log/main.log", rows: 19561, width: 5, roles: "lr=lr loss=val_loss"},
		{path: "megatron_text_log/meg_gpt2_base_n16_dp1_tp4_pp16-1809577.out", rows: 9, width: 37, roles: `lr="learning rate" batch="global batch size" loss="lm loss"`},
		{path: "megatron_text_log/meg_ds_zero_gpt2_perf_n16-1999616.out", rows: 4, width: 28, roles: `N="config/total parameters" lr="learning rate" loss="lm loss"`},
		{path: "modded_nanogpt_log/2024-06-06_AdamW.log", rows: 9537, width: 3, roles: "loss=val_loss"},
		{path: "tensorboard_events/events.out.tfevents.1716905080.5dc8cee4489c.1498.0.v2", rows: 159, width: 16, roles: `loss="validation/loss"`},
	}
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			path := shared(t, filepath.Join("data/formats", tt.path))
			tb, err := Read(t.Context(), path, tt.options)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("%v, want %s", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if tb.Rows != tt.rows || len(tb.Columns) != tt.width {
				t.Errorf("%d rows, %d columns; want %d, %d", tb.Rows, len(tb.Columns), tt.rows, tt.width)
			}
			if tb, err = table.Assign(tb, nil); err != nil {
				t.Fatal(err)
			}
			notes := "\n" + strings.Join(tb.Notes, "\n") + "\n"
			if tt.roles != "" && !strings.Contains(notes, "\ntaken by name: "+tt.roles+"\n") || tt.roles == "" && strings.Contains(notes, "taken by name") ||
				!strings.Contains(notes, tt.note) {
				t.Errorf("notes:%s\nwant roles %s and %q", notes, tt.roles, tt.note)
			}
		})
	}
}
