package importers

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"github.com/etastar/etastar/session/table"
)

// constantNote is the note of a log that says something of its run.
const constantNote = "the columns config/… are what the log says of its run, the same in every row"

var logTests = []struct {
	file, format string
	want         string
	notes        []string
	lines        []int32
}{
	{
		"llmc_main.log", "llmc",
		`step: 0 1 2 3 2 3 4 5
val_loss: 10.9853 _ 9.812 _ 9.812 _ _ 9.4417
eval: 0.2469 _ _ _ _ _ _ _
loss: 10.9821 10.7112 9.9054 9.7001 9.9061 9.7018 9.5009 _
lr: 2e-6 3e-6 5e-6 6e-6 5e-6 6e-6 8e-6 _
grad_norm: 14.07 12.9 NaN 4.31 8.02 4.33 3.1 _
restart: 0 0 0 0 1 1 1 1
`,
		[]string{
			"of the log's names trl is loss, tel is val_loss and norm is grad_norm",
			"the steps go back once (line 8): the run was restarted; rows of both are kept, the column restart tells them apart",
		},
		[]int32{1, 4, 5, 7, 8, 10, 11, 12},
	},
	{
		"modded.txt", "modded-nanogpt",
		`step: 0 1 2 3 4 5 6
val_loss: 10.8312 _ _ 9.7406 _ _ 9.2881
train_time_ms: 0 24107 24236 24366 24497 24626 24755
step_avg_ms: NaN NaN 128.9 129.53 130.25 129.83 129.71
train_loss: _ 10.829 10.2077 9.8011 9.553 9.4112 9.3074
config/batch_size: 512 512 512 512 512 512 512
config/sequence_length: 1024 1024 1024 1024 1024 1024 1024
config/num_iterations: 6 6 6 6 6 6 6
config/learning_rate: 0.0036 0.0036 0.0036 0.0036 0.0036 0.0036 0.0036
config/weight_decay: 0 0 0 0 0 0 0
config/steps: 6 6 6 6 6 6 6
`,
		[]string{constantNote},
		[]int32{25, 26, 27, 28, 30, 31, 32},
	},
	{
		"nanogpt.log", "nanogpt",
		`step: 0 1 2 3
train loss: 4.2874 _ 3.501 _
val loss: 4.2823 _ 3.5377 _
loss: 4.2656 3.9207 3.5101 NaN
time (ms): 21019.67 18.22 3310.05 18.4
mfu: _ _ 0.11 2.13
config/learning_rate: 0.0025 0.0025 0.0025 0.0025
config/max_iters: 5000 5000 5000 5000
config/micro_batch_size: 64 64 64 64
config/block_size: 256 256 256 256
config/n_layer: 6 6 6 6
config/beta2: 0.99 0.99 0.99 0.99
config/tokens_per_iter: 16384 16384 16384 16384
config/parameters: 10650000 10650000 10650000 10650000
`,
		[]string{"a step is 16384 tokens: D=step*16384 counts tokens", constantNote},
		[]int32{21, 23, 24, 28},
	},
	{
		"megatron.out", "megatron",
		`step: 10 20 30
consumed samples: 2560 5120 7680
elapsed time per iteration (ms): 1837.9 1711.1 1702.6
throughput per GPU (TFLOP/s/GPU): 101.5 _ _
learning rate: 0 3e-5 6e-5
global batch size: 256 256 256
loss scale: 65536 65536 32768
number of skipped iterations: 10 0 0
number of nan iterations: 0 0 1
lm loss: _ 9.249319 NaN
grad norm: _ 9.804 Inf
validation lm loss: _ 9.10123 _
validation lm loss PPL: _ 8966.317 _
test lm loss: _ _ 8.5
test lm loss PPL: _ _ 4914.769
config/adam_beta1: 0.9 0.9 0.9
config/global_batch_size: 256 256 256
config/lr: 0.0003 0.0003 0.0003
config/lr_decay_style' cosine cosine cosine
config/pipeline_model_parallel_size: 1 1 1
config/seq_length: 2048 2048 2048
config/tensor_model_parallel_size: 2 2 2
config/train_iters: 2000 2000 2000
`,
		[]string{
			"the model's 2 ranks hold 126000128 parameters; what is on several, as tied embeddings are, counts on each",
			"seq_length is 2048: D=consumed_samples*2048 counts tokens, batch=global_batch_size*2048 tokens a step",
			constantNote,
		},
		[]int32{19, 21, 25},
	},
	{
		"trainer_state.json", "trainer_state",
		`step: 10 20
epoch: 1 2
grad_norm: 1.75 NaN
learning_rate: 0.001 0.0005
loss: 3.2 3.0625
eval_loss: 3.15 3.0102
eval_runtime: 1.25 1.5
total_flos: _ 1250000000000
train_loss: _ 3.13125
config/max_steps: 20 20
config/num_train_epochs: 2 2
`,
		[]string{
			"the trainer says best_metric 3.0102, total_flos 1250000000000.0, train_batch_size 8 (of a device)",
			`values that are no numbers are left out: "stage"`,
			constantNote,
		},
		[]int32{8, 21},
	},
}

func TestLogsTestdata(t *testing.T) {
	for _, tt := range logTests {
		t.Run(tt.file, func(t *testing.T) {
			content, err := os.ReadFile(filepath.Join("testdata", tt.file))
			if err != nil {
				t.Fatal(err)
			}
			// Whatever it is called.
			path := file(t, "x", string(content))
			found, err := choose(content, path, "")
			if err != nil || found.name != tt.format {
				t.Errorf("it looks like %q, %v", found.name, err)
			}
			for _, chunk := range []int{1, 100, chunkSize} {
				tb, err := read(t.Context(), path, Options{}, chunk)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tt.want, dump(tb)); diff != "" {
					t.Errorf("chunks of %d: %s", chunk, diff)
				}
				if diff := cmp.Diff(tt.notes, tb.Notes); diff != "" {
					t.Errorf("chunks of %d: notes %s", chunk, diff)
				}
				if diff := cmp.Diff(tt.lines, tb.Lines); diff != "" {
					t.Errorf("chunks of %d: lines %s", chunk, diff)
				}
			}
		})
	}
}

// Whatever of a log was written is read, and nothing else: not half a number.
func TestLogsCutAnywhere(t *testing.T) {
	for _, tt := range logTests {
		content, err := os.ReadFile(filepath.Join("testdata", tt.file))
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "x")
		rows := 0
		for n := 1; n < len(content); n++ {
			if err := os.WriteFile(path, content[:n], 0o600); err != nil {
				t.Fatal(err)
			}
			tb, err := Read(t.Context(), path, Options{Format: tt.format})
			if err != nil {
				if rows > 0 || !strings.Contains(err.Error(), "line") && !strings.Contains(err.Error(), "log_history") {
					t.Fatalf("%s: the first %d bytes: %v", tt.file, n, err)
				}
				continue
			}
			if tb.Rows < rows {
				t.Fatalf("%s: the first %d bytes have %d rows, fewer bytes %d", tt.file, n, tb.Rows, rows)
			}
			rows = tb.Rows
			isPrefixOf(t, tt.file, dump(tb), tt.want)
		}
		if rows < len(tt.lines)-1 {
			t.Errorf("%s: %d rows without the last byte", tt.file, rows)
		}
	}
}

func TestLogDetails(t *testing.T) {
	iteration := func(n int, rest string) string {
		return fmt.Sprintf(" iteration %8d/ 100 | lm loss: %d.5 | %s\n", n, n, rest)
	}
	tests := []struct{ name, content, want, note string }{
		{"the last line cut", "s:1 trl:2.5\ns:2 trl:2.2", "step: 1\nloss: 2.5\n", "line 2: the last line is not complete and left out"},
		{"a progress bar", "s:1 trl:3\n10%|#  |\r20%|## |\rs:2 trl:2\r\n s:9\ns:3 trl:1\r\n", "step: 1 2 3\nloss: 3 2 1\n", ""},
		{"escapes", "\x1b[2K\x1b[1ms:1\x1b[0m trl:\x1b]0;title\x07\x1b]8;;x\x1b\\3\n\x1bcs:2 trl:2\n\x1b[\n\x1b]\n\x1b", "step: 1 2\nloss: 3 2\n", ""},
		{"two in a line", "\n" + iteration(1, iteration(2, "[Rank 1] | a: 1 |")) + iteration(3, ""), "step: 1 2 3\nlm loss: 1.5 2.5 3.5\nconfig/train_iters: 100 100 100\n", ""},
		{"without colons", " iteration 1/ 9 | elapsed time per iteration (ms): 9.5 | learning rate 1.5E-04 | lm loss 9.5E+00 |\n", "step: 1\nelapsed time per iteration (ms): 9.5\nlearning rate: 0.00015\nlm loss: 9.5\nconfig/train_iters: 9\n", ""},
		{"no end of the training", " iteration 1/infinity | lm loss: 1 |\n iteration 2/infinity | lm loss: 2 |\n", "step: 1 2\nlm loss: 1 2\n", ""},
		{"deepspeed's size", " iteration 1/ 9 | lm loss: 1 |\nEffective Tera Flops per GPU: 41.31 and total parameters 52.005 B\n iteration 2/ 9 | lm loss: 2 |\n", "step: 1 2\nlm loss: 1 2\nconfig/train_iters: 9 9\nconfig/total parameters: 52005000000 52005000000\n", ""},
		{"validation first", " validation loss at iteration 0 | lm loss value: 9.5E+00 | lm loss PPL: 1.3E+04 | \n" + iteration(1, "") + iteration(2, ""), "step: 0 1 2\nvalidation lm loss: 9.5 _ _\nvalidation lm loss PPL: 13000 _ _\nlm loss: _ 1.5 2.5\nconfig/train_iters: 100 100 100\n", ""},
		{"a time before", "2024-10-24 12:35:19 iter 0: loss 3.5, time 1.5ms, mfu 1.00%\n2024-10-24 12:35:20 iter 1: loss 3.25, time 1.5ms, mfu 1.00%\n", "step: 0 1\nloss: 3.5 3.25\ntime (ms): 1.5 1.5\nmfu: 1 1\n", ""},
		{"two restarts", "s:1 trl:1\ns:2 trl:2\ns:1 trl:3\ns:1 trl:4\n", "step: 1 2 1 1\nloss: 1 2 3 4\nrestart: 0 0 1 1\n", "the steps go back once (line 3)"},
		{"late", strings.Repeat("nothing to see here\n", 5000) + "step:1/9 train_loss:2.5\n", "step: 1\ntrain_loss: 2.5\nconfig/steps: 9\n", ""},
		{"a launcher's times", strings.Repeat("[2024-05-01 10:00:00,180] [INFO] [config.py:904:print]   train_batch_size 2\n", 2000) + iteration(1, ""), "step: 1\nlm loss: 1.5\nconfig/train_iters: 100\n", ""},
		{"a hole", strings.Repeat("s:1 trl:2\n", 7000) + "\x00\x00\x00s:2 trl:1\ns:3 trl:1\n", "step: 1 3\nloss: 2 1\n", ""},
	}
	for _, tt := range tests {
		path := file(t, "x.log", tt.content)
		for _, chunk := range []int{3, chunkSize} {
			tb, err := read(t.Context(), path, Options{}, chunk)
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
				continue
			}
			if diff := cmp.Diff(tt.want, dump(tb)); diff != "" {
				t.Errorf("%s, chunks of %d: %s", tt.name, chunk, diff)
			}
			if notes := strings.Join(tb.Notes, "\n"); !strings.Contains(notes, tt.note) {
				t.Errorf("%s: notes %q", tt.name, tb.Notes)
			}
		}
	}
}

func TestLogErrors(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 100)
	state := `{"global_step": 1, "log_history": [`
	tests := []struct{ format, content, want string }{
		{"megatron", "a\nb\n", "lines 1 to 2: no step is logged: a megatron log has lines such as"},
		{"nanogpt", "step 1: done\n", "no step is logged"},
		{"trainer_state", "[]", "line 1: expected one of {, found"},
		{"trainer_state", `{"a": 1}`, "there is no list log_history in it"},
		{"trainer_state", state + deep, "line 1: objects are nested more than 64 deep"},
		{"trainer_state", "{\n\"x\": " + deep, "line 2: objects are nested more than 64 deep"},
		{"trainer_state", state + strings.Repeat("[", 100), "line 1: expected an object"},
		{"trainer_state", state + "\n\n", "the file ends within its history"},
	}
	for _, tt := range tests {
		path := file(t, "x", tt.content)
		_, err := Read(t.Context(), path, Options{Format: tt.format})
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), fmt.Sprintf("%q: ", path)) {
			t.Errorf("%s, %.40q: %v, want %s", tt.format, tt.content, err, tt.want)
		}
	}
	// What was readable is kept.
	for _, rest := range []string{"", ",", `, {"step": 2, "loss": x}]}`, `, {"step": 2, "lo`, ", " + deep, `, {"step": 2}] "x"`} {
		tb := mustRead(t, file(t, "x", state+"\n"+`{"step": 1, "loss": 2.5}`+rest), Options{Format: "trainer_state"})
		if got := dump(tb); got != "step: 1\nloss: 2.5\n" && got != "step: 1 2\nloss: 2.5 _\n" {
			t.Errorf("%.40q: %s", rest, got)
		}
		if len(tb.Notes) != 1 || !strings.HasPrefix(tb.Notes[0], "x: line 2: ") || !strings.HasSuffix(tb.Notes[0], "; what comes before is read") {
			t.Errorf("%.40q: notes %q", rest, tb.Notes)
		}
	}
}

func TestLogEncodings(t *testing.T) {
	text := "s:1 trl:2.5 # η\ns:2 trl:2.25\n"
	b := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(text)) {
		b = append(b, byte(u), byte(u>>8))
	}
	for name, content := range map[string]string{"UTF-16": string(b), "UTF-8 with a mark": "\xef\xbb\xbf" + text, "Latin-1": strings.ReplaceAll(text, "η", "\xe9")} {
		if got := dump(mustRead(t, file(t, "x", content), Options{})); got != "step: 1 2\nloss: 2.5 2.25\n" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// A line without an end costs no memory, and no more than itself.
func TestLogEndlessLine(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 70 MB")
	}
	path := filepath.Join(t.TempDir(), "x")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	write := func(s string) {
		if _, err := f.WriteString(s); err != nil {
			t.Fatal(err)
		}
	}
	write("s:1 trl:3\ns:2 trl:2\n")
	for range 70 {
		write(strings.Repeat("0123456789abcdef", 1<<16))
	}
	write("\ns:3 trl:1\n")
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	tb := mustRead(t, path, Options{})
	runtime.ReadMemStats(&after)
	if got := dump(tb); got != "step: 1 2 3\nloss: 3 2 1\n" {
		t.Error(got)
	}
	if notes := strings.Join(tb.Notes, "\n"); !strings.Contains(notes, "1 line longer than 1 MiB left out (the first is line 3)") {
		t.Error(notes)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 32<<20 {
		t.Errorf("%d MB allocated", used>>20)
	}
}

// A name at every step would make a table of the square of the file.
func TestSeriesIsBounded(t *testing.T) {
	j := &job{first: true}
	s := newSeries(j)
	s.most = 1000
	for i := range 100 {
		s.line = i + 1
		s.add(fmt.Sprint("x", i), 1)
		s.put(float64(i))
		if s.full {
			break
		}
	}
	s.finish()
	tb := j.cols.build()
	if cells := tb.Rows * len(tb.Columns); cells > s.most+len(tb.Columns) || cells < s.most/2 || tb.Columns[len(tb.Columns)-1].Len() != tb.Rows {
		t.Errorf("%d rows of %d columns", tb.Rows, len(tb.Columns))
	}
	if notes := strings.Join(tb.Notes, "\n"); !strings.Contains(notes, "line 32: the table would have more than 1000 cells: the rest is left out") {
		t.Error(notes)
	}
}

// The shared logs, with values looked up in them by hand.
func TestSharedLogs(t *testing.T) {
	type value struct {
		row    int
		column string
		v      float64
	}
	none := table.Missing
	tests := []struct {
		path        string
		rows, width int
		values      []value
		note        string
	}{
		{"llmc_main_log/main.log", 19561, 5, []value{
			{0, "step", 0},
			{0, "val_loss", 11.0092},
			{0, "loss", 11.0091},
			{0, "lr", 1e-6},
			{0, "grad_norm", 15.37},
			{1, "val_loss", none},
			{9, "loss", 9.9762},
			{38, "step", 38},
			{19559, "loss", 3.2217},
			{19559, "lr", 0},
			{19560, "val_loss", 3.2722},
			{19560, "loss", none},
		}, "trl is loss"},
		{"modded_nanogpt_log/2024-06-06_AdamW.log", 9537, 3, []value{
			{0, "val_loss", 10.968871}, {0, "loss", 10.965596}, {20, "loss", 8.537621}, {9535, "loss", 3.340180}, {9536, "val_loss", 3.275959},
		}, ""},
		{"nanogpt_stdout_and_wandb_run_dir/output.log", 2156, 6, []value{
			{0, "train loss", 4.4501},
			{0, "val loss", 4.4402},
			{0, "loss", 4.4512},
			{0, "time (ms)", 23218.37},
			{0, "mfu", none},
			{5, "mfu", 106.93},
			{28, "loss", 2.8529},
			{1, "val loss", none},
		}, ""},
		{"hf_trainer_state/trainer_state.json", 31, 37, []value{
			{0, "step", 0},
			{0, "eval_g0_loss", 5.741583347320557},
			{0, "eval_g5_runtime", 6.5105},
			{0, "loss", none},
			{1, "step", 401},
			{1, "loss", 1.1074},
			{1, "learning_rate", 1e-5},
			{1, "grad_norm", 5.49674654006958},
			{1, "eval_g1_loss", 1.615233302116394},
			{30, "step", 12030},
			{30, "epoch", 30},
			{30, "eval_g5_accuracy", 0.2518703241895262},
			{30, "config/max_steps", 12030},
		}, "the trainer says total_flos 2.3847568878600192e+17, train_batch_size 4 (of a device)"},
		{"megatron_text_log/meg_ds_zero_gpt2_perf_n16-1999616.out", 4, 28, []value{
			{0, "step", 1},
			{0, "lm loss", 12.52221},
			{1, "elapsed time per iteration (ms)", 128917},
			{2, "lm loss", 40.75232},
			{3, "learning rate", 7.5e-5},
			{3, "config/lr", 1.5e-4},
			{0, "config/total parameters", 52.005e9},
			{0, "config/micro_batch_size", 48},
		}, ""},
		{"megatron_text_log/meg_gpt2_base_n16_dp1_tp4_pp16-1809577.out", 9, 37, []value{
			{0, "step", 10},
			{0, "consumed samples", 40},
			{0, "lm loss", none},
			{0, "learning rate", 0},
			{1, "lm loss", 12.49319},
			{1, "grad norm", none},
			{3, "grad norm", 63.032},
			{8, "lm loss", 8.306568},
			{8, "learning rate", 1.478e-4},
			{8, "config/lr", 1.5e-4},
			{8, "config/seq_length", 1024},
		}, "the model's 64 ranks hold 66220204032 parameters"},
		{"tensorboard_events/events.out.tfevents.1716905080.5dc8cee4489c.1498.0.v2", 159, 16, []value{
			{0, "step", 0},
			{0, "loss", 0.26238322257995605},
			{1, "step", 1},
			{1, "train/loss", 0.26284655928611755},
			{1, "validation/loss", 0.26160481572151184},
			{1, "test/num_examples", 95e6},
			{158, "step", 10666},
			{158, "train/loss", 0.145524263381958},
			{158, "score", 7088.220703125},
			{158, "loss", none},
		}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			tb := mustRead(t, shared(t, filepath.Join("data/formats", tt.path)), Options{})
			if tb.Rows != tt.rows || len(tb.Columns) != tt.width {
				t.Errorf("%d rows, %d columns; want %d, %d", tb.Rows, len(tb.Columns), tt.rows, tt.width)
			}
			for _, v := range tt.values {
				c := tb.Column(v.column)
				if c == nil {
					t.Errorf("no column %q", v.column)
				} else if got := c.Value(v.row); got != v.v && !(table.IsMissing(got) && table.IsMissing(v.v)) {
					t.Errorf("row %d of %q is %v, want %v", v.row, v.column, got, v.v)
				}
			}
			if notes := strings.Join(tb.Notes, "\n"); !strings.Contains(notes, tt.note) {
				t.Errorf("notes %s", notes)
			}
		})
	}
}
