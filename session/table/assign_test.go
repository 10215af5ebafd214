package table

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A name of many parts is looked at once, not once for each part.
func TestMatchRoleLongName(t *testing.T) {
	if r, ok := MatchRole(strings.Repeat("a/", 1<<20) + "lr"); ok {
		t.Error(r)
	}
}

func TestMatchRole(t *testing.T) {
	tests := []struct {
		names string // separated by |
		want  Role
	}{
		{"N|params|parameters|n_params|num_params|num_parameters|model_size|non_embedding_params|Non-Embedding Parameters|model/num_params|numParameters|config.n_params", RoleN},
		{"D|tokens|train_tokens|n_tokens|total_tokens|tokens_seen|training_tokens|Training Tokens|throughput/total_tokens|tokens (total)", RoleD},
		{"lr|LR|learning_rate|peak_lr|max_lr|eta|η|params_learning_rate|optimizer.lr|config/lr|learning rate|Learning-Rate|learningRate|lr_max|matrix_lr|optim/learning_rate_group0|base_lr|train/lr|config/optimizer/η", RoleLR},
		{"batch|batch_size|bs|global_batch|tokens_per_step|batch_tokens|params_batch_size|train_batch_size|batch_size_in_tokens|gbs", RoleBatch},
		{"loss|val_loss|smooth loss|eval/loss|final_loss|train_loss|validation loss|val/loss|cross-entropy|bpb|CrossEntropyLoss|eval/c4/CrossEntropyLoss|valloss|loss_smooth|val_bpb (post-quant)|nll|scaling/global_loss|lm loss|bits per byte|test/loss", RoleLoss},
		{"flops|compute|C|train_flops|total FLOPs", RoleFLOPs},
		{"D/N|n|d|c|h|name|exp_name|lr_schedule|min_lr|lr_min|warmup_lr|final_lr|aux_loss|z_loss|loss_scale|train/loss__MIN|loss_std|perplexity|eval_accuracy|step|tokens/s|seed|steps|clr|lossless|micro_batch_size|lr_warmup_steps|", ""},
	}
	for _, tt := range tests {
		for _, name := range strings.Split(tt.names, "|") {
			if got, _ := MatchRole(name); got != tt.want {
				t.Errorf("MatchRole(%q) = %q, want %q", name, got, tt.want)
			}
		}
	}
}

func TestAssignByName(t *testing.T) {
	one := func(names ...string) *Table {
		var cs []*Column
		for _, n := range names {
			cs = append(cs, numbers(n, 1e6, 2e6))
		}
		return tableOf(cs...)
	}
	tests := []struct {
		columns []string
		role    Role
		want    string
		others  []string
	}{
		{[]string{"loss", "smooth loss"}, RoleLoss, "smooth loss", []string{"loss"}},
		{[]string{"train/loss", "loss", "test/loss", "validation/loss"}, RoleLoss, "validation/loss", []string{"loss", "train/loss", "test/loss"}},
		{[]string{"final_loss", "loss"}, RoleLoss, "final_loss", []string{"loss"}},
		{[]string{"router_loss", "global_loss", "train_loss"}, RoleLoss, "train_loss", []string{"global_loss"}},
		{[]string{"lr", "peak_lr", "matrix_lr"}, RoleLR, "peak_lr", []string{"lr", "matrix_lr"}},
		{[]string{"D/N", "params", "N"}, RoleN, "N", []string{"params"}},
		{[]string{"total_params", "non_embedding_params"}, RoleN, "non_embedding_params", []string{"total_params"}},
		{[]string{"bs", "tokens_per_step"}, RoleBatch, "tokens_per_step", []string{"bs"}},
		{[]string{"D/N"}, RoleN, "", nil},
	}
	for _, tt := range tests {
		tb, err := Assign(one(tt.columns...), nil)
		if err != nil {
			t.Fatal(err)
		}
		got := tb.Roles[tt.role]
		if got.Column != tt.want || !slices.Equal(got.Others, tt.others) || got.Given {
			t.Errorf("%v: %s = %+v, want %s, others %v", tt.columns, tt.role, got, tt.want, tt.others)
		}
	}
}

func TestAssignWantsPlausibleValues(t *testing.T) {
	tb := tableOf(
		text("model_size", "small", "large"), numbers("params", 1e9, 2e9),
		numbers("lr", -1, 1), numbers("learning_rate", 0, 1e-3),
		numbers("val_loss", Missing, Missing), numbers("loss", math.NaN(), 3),
	)
	tb, err := Assign(tb, nil)
	if err != nil {
		t.Fatal(err)
	}
	for role, want := range map[Role]string{RoleN: "params", RoleLR: "learning_rate", RoleLoss: "loss"} {
		if got := tb.Roles[role].Column; got != want {
			t.Errorf("%s = %s, want %s", role, got, want)
		}
	}
}

func TestAssignOverrides(t *testing.T) {
	tests := []struct {
		role  Role
		text  string
		want  RoleSource
		value float64
	}{
		{RoleLoss, "loss", RoleSource{Column: "loss", Given: true}, 3.2},
		{RoleLoss, "smooth loss", RoleSource{Column: "smooth loss", Given: true}, 3.1},
		{RoleLoss, `"smooth loss"`, RoleSource{Column: "smooth loss", Given: true}, 3.1},
		{RoleLoss, "smooth_loss", RoleSource{Column: "smooth loss", Given: true}, 3.1},
		{RoleLoss, "LOSS", RoleSource{Column: "loss", Given: true}, 3.2},
		{RoleBatch, "bs*2048", RoleSource{Column: "batch", Expr: "bs*2048", Given: true}, 65536},
		{RoleBatch, "batch*2048", RoleSource{Column: "batch", Expr: "batch*2048", Given: true}, 65536}, // the column found by name
		{RoleN, "400M", RoleSource{Column: "400M", Expr: "400M", Given: true}, 4e8},                    // N is a column already
		{RoleLoss, "`smooth loss` + loss", RoleSource{Column: "`smooth loss` + loss", Expr: "`smooth loss` + loss", Given: true}, 6.3},
		{RoleFLOPs, "6*N*D", RoleSource{Column: "C", Expr: "6*N*D", Given: true}, 6e17},
		{RoleD, "D/N", RoleSource{Column: "D/N", Given: true}, 10},
		{RoleD, "D / N", RoleSource{Column: "D / N", Expr: "D / N", Given: true}, 10},
	}
	for _, tt := range tests {
		tb, err := Assign(sweep(), map[Role]string{tt.role: tt.text})
		if err != nil {
			t.Errorf("%s=%s: %v", tt.role, tt.text, err)
			continue
		}
		got := tb.Roles[tt.role]
		if got.Column != tt.want.Column || got.Expr != tt.want.Expr || !got.Given {
			t.Errorf("%s=%s: %+v, want %+v", tt.role, tt.text, got, tt.want)
		}
		if c := tb.RoleColumn(tt.role); c == nil || math.Abs(c.Value(0)-tt.value) > 1e-9 {
			t.Errorf("%s=%s: column %v, want %v first", tt.role, tt.text, c, tt.value)
		}
	}
	if tb := sweep(); len(tb.Columns) != 8 || tb.Roles != nil {
		t.Error("the table was changed")
	}
}

func TestAssignErrors(t *testing.T) {
	tests := []struct {
		role Role
		text string
		want []string
	}{
		{RoleLoss, "smoth loss", []string{`loss: `, "column 7", "loss is unexpected"}},
		{RoleLoss, `"smoth loss"`, []string{`loss: there is no column "smoth loss"; did you mean "smooth loss"?`}},
		{RoleLR, "lrr", []string{`lr: there is no column "lrr"; did you mean lr?`}},
		{RoleLR, "zebra", []string{`lr: there is no column "zebra"; columns: lr, bs, loss, "smooth loss", opt, D, N, "D/N"`}},
		{RoleLR, "opt", []string{`lr: column "opt" is text ("adamw"): it takes numbers`}},
		{RoleBatch, "bz*2048", []string{"batch: column 1: there is no column \"bz\"; did you mean bs?\n  bz*2048\n  ^^"}},
		{RoleBatch, `"a" + 1`, []string{"batch: column 1: expected a number, found text"}},
		{Role("los"), "loss", []string{`there is no role "los"; did you mean loss? (roles: N, D, lr, batch, loss, C)`}},
	}
	for _, tt := range tests {
		_, err := Assign(sweep(), map[Role]string{tt.role: tt.text})
		for _, want := range tt.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s=%s: %v\nwant %s", tt.role, tt.text, err, want)
			}
		}
	}
}

func TestAssignNotes(t *testing.T) {
	tests := []struct {
		name      string
		table     *Table
		overrides map[Role]string
		want      []string
		without   string
	}{
		{
			"a published sweep", sweep(), nil,
			[]string{
				`taken by name: N=N D=D lr=lr batch=bs loss="smooth loss"`,
				`loss = "smooth loss" (also: "loss"); change with loss="loss"`,
				"batch = bs: unit unknown (sequences or tokens?); say batch=bs*2048 if sequences of 2048",
			},
			"no column found",
		},
		{"a unit given", sweep(), map[Role]string{RoleBatch: "bs*2048"}, nil, "unit unknown"},
		{"tokens by name", tableOf(numbers("tokens_per_step", 32)), nil, nil, "unit unknown"},
		{"tokens by size", tableOf(numbers("batch_size", 131072, 4194304)), nil, []string{"batch = batch_size: taken as tokens (131072 to 4194304)"}, "unit unknown"},
		{"accuracy", tableOf(numbers("eval accuracy", 0.3)), map[Role]string{RoleLoss: "eval accuracy"}, []string{`loss = "eval accuracy": by its name it is no loss but a score`}, ""},
		{"millions", tableOf(numbers("params", 210, 530)), nil, []string{"N = params: at most 530, which is few parameters; if it is in another unit say N=params*1e6"}, ""},
		{"billions", tableOf(numbers("tokens (B)", 100)), nil, []string{"D = \"tokens (B)\": at most 100, which is few tokens; if it is in another unit say D=`tokens (B)`*1e9"}, ""},
		{"a guess", tableOf(numbers("matrix_lr", 0.01)), nil, []string{"lr = matrix_lr is a guess by its name"}, ""},
		{"absent", tableOf(numbers("lr", 0.01), numbers("x", 1)), nil, []string{"no column found for N, D, loss (columns: lr, x)"}, ""},
		{"large lr", tableOf(numbers("lr", 30)), nil, []string{"lr = lr: up to 30, which is large"}, ""},
		{
			"roundings", tableOf(numbers("lr", 0.000488, 0.0004883, 0.000977, 0.0009766, 0.001, 0.0011)), nil,
			[]string{"lr: 2 values are written in two roundings within 1% (0.000488, 0.0004883): grouped in cells; fits use the values as written"},
			"",
		},
	}
	for _, tt := range tests {
		tb, err := Assign(tt.table, tt.overrides)
		if err != nil {
			t.Fatal(err)
		}
		all := strings.Join(tb.Notes, "\n")
		for _, want := range tt.want {
			if !strings.Contains(all, want) {
				t.Errorf("%s: notes\n%s\nlack %s", tt.name, all, want)
			}
		}
		if tt.without != "" && strings.Contains(all, tt.without) {
			t.Errorf("%s: notes\n%s\nshould not say %s", tt.name, all, tt.without)
		}
	}
}

func TestNeed(t *testing.T) {
	tb, err := Assign(tableOf(
		numbers("lr", 0.1), numbers("eval_perplexity", 20), numbers("tokns", 1e9), text("params", "7B?"),
	), nil)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		roles []Role
		want  []string
	}{
		{[]Role{RoleLR}, nil},
		{[]Role{RoleLR, RoleLoss}, []string{"no column for loss (final loss)", "eval_perplexity is exp(loss): say loss=ln(eval_perplexity)", "columns: lr, eval_perplexity, tokns, params"}},
		{[]Role{RoleD}, []string{"no column for D (training tokens)", "if it is tokns, say D=tokns"}},
		{[]Role{RoleN}, []string{`params is text ("7B?")`}},
		{[]Role{RoleFLOPs, RoleBatch}, []string{"no column for C (training FLOPs), batch (tokens per step)", "say C=COLUMN or C=EXPRESSION"}},
	}
	for _, tt := range tests {
		err := tb.Need(tt.roles...)
		if (err != nil) != (tt.want != nil) {
			t.Errorf("Need(%v): %v", tt.roles, err)
		}
		for _, want := range tt.want {
			if err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("Need(%v): %v\nwant %s", tt.roles, err, want)
			}
		}
	}
}

func TestLRRoundings(t *testing.T) {
	of := func(vs ...float64) *Table {
		return &Table{Columns: []*Column{numbers("lr", vs...)}, Rows: len(vs), Roles: Roles{RoleLR: {Column: "lr"}}}
	}
	many := make([]float64, 10_000)
	for i := range many {
		many[i] = 1e-3 + 1e-9*float64(i)
	}
	tests := []struct {
		table   *Table
		groups  int
		example string
	}{
		{of(1e-3, 2e-3, 4e-3), 0, ""},
		{of(0.0111, 0.01105), 1, "0.01105, 0.0111"},
		{of(0.000345, 0.0003453, 0.000345), 1, "0.000345, 0.0003453"},
		{of(0.001234, 0.001239), 0, ""}, // as many digits: two values
		{of(math.NaN(), Missing, 0, math.Inf(1)), 0, ""},
		{of(many...), 0, ""},
		{tableOf(numbers("x", 1)), 0, ""},
	}
	for _, tt := range tests {
		if groups, example := LRRoundings(tt.table); groups != tt.groups || example != tt.example {
			t.Errorf("%v: %d, %q; want %d, %q", tt.table.Columns[0].Numbers[:2%tt.table.Rows+1], groups, example, tt.groups, tt.example)
		}
	}
}

// The rates of the published sweep are written in three and in four digits.
func TestLRRoundingsOfPublishedRates(t *testing.T) {
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		dir = filepath.Dir(dir)
	}
	data, err := os.ReadFile(filepath.Join(dir, "..", "shared", "data", "steplaw", "dense_lr_bs_loss.csv"))
	if err != nil {
		t.Skip("needs ../shared (real data is not redistributed)")
	}
	lr := numbers("lr")
	for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n")[1:] {
		var tb *Table
		if tb, err = Derive(tableOf(numbers("x", 1)), "v", strings.Split(line, ",")[4]); err != nil {
			t.Fatal(err)
		}
		lr.Numbers = append(lr.Numbers, tb.Column("v").Value(0))
	}
	tb := &Table{Columns: []*Column{lr}, Rows: lr.Len(), Roles: Roles{RoleLR: {Column: "lr"}}}
	if groups, example := LRRoundings(tb); groups != 12 || example != "0.000345, 0.0003453" {
		t.Errorf("%d groups, %s", groups, example)
	}
}
