package session

import (
	"fmt"
	"strings"
	"testing"

	"github.com/etastar/etastar/trainer/rundir"
)

func TestSweepOfCommands(t *testing.T) {
	s := computed(t, "```eta\nr = sweep command=\"train --lr {lr} --steps {steps} --width {d_model} --out {run}\" env=\"A={lr}\" lr=[1e-3,0.02] tokens=[1k,2k] batch=100 d_model=64\n```\n")
	c := cell(t, s, "r")
	if c.Err != nil {
		t.Fatal(c.Err)
	}
	v := c.Value.(Sweep)
	var lines []string
	for _, r := range v.commands {
		lines = append(lines, strings.Join(r.Args, " ")+" "+strings.Join(r.Env, " "))
	}
	want := []string{
		"train --lr 0.001 --steps 10 --width 64 --out {run} A=0.001", "train --lr 0.02 --steps 10 --width 64 --out {run} A=0.02",
		"train --lr 0.001 --steps 20 --width 64 --out {run} A=0.001", "train --lr 0.02 --steps 20 --width 64 --out {run} A=0.02",
	}
	if fmt.Sprint(lines) != fmt.Sprint(want) {
		t.Errorf("%q", lines)
	}
	if g := v.Groups(); len(g) != 2 || len(g[0].Runs) != 2 || g[1].D != 2000 || v.Started() != 0 {
		t.Errorf("%+v", g)
	}
	if v.Rows != 4 || v.Column("tokens").Value(3) != 2000 || v.RoleColumn("lr") == nil || v.RoleColumn("loss") == nil {
		t.Errorf("%d rows, %+v", v.Rows, v.Roles)
	}
	// What was trained is found again, whatever its state.
	dirs, err := v.askCommands()
	if err != nil || len(dirs) != 4 {
		t.Fatal(dirs, err)
	}
	w, err := rundir.Open(dirs[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := w.SetStatus(rundir.Status{State: rundir.Finished, Step: 10, Val: 2.5}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	s.Poll()
	settle(t, s)
	v = cell(t, s, "r").Value.(Sweep)
	if v.Finished() != 1 || v.Started() != 4 || v.Column("loss").Value(1) != 2.5 || v.Column("state").String(1) != "finished" {
		t.Errorf("%d finished of %d started", v.Finished(), v.Started())
	}
}

func TestSweepOfCommandsErrors(t *testing.T) {
	for text, want := range map[string]string{
		`sweep command="train" lr=1e-3`:                       "the command has no {lr}",
		`sweep command="" lr=1e-3`:                            "the command is empty",
		`sweep command="train 'x" lr=1e-3`:                    "a quote ' is never closed",
		`sweep command="train {lr} {layers}" lr=1e-3`:         "takes {layers}, which is not given",
		`sweep command="train {lr} {steps}" lr=1e-3`:          "takes {steps}, which are tokens over batch",
		`sweep command="train {lr} {sneed}" lr=1e-3`:          "{sneed} stands for no parameter",
		`sweep command="train {lr}" lr=1e-3 d_model=[8,16]`:   "d_model= is given, and the command has no {d_model}",
		`sweep command="train {lr}" lr=1e-3 folder="nowhere"`: "there is no folder",
		`sweep command="train {lr}" lr=1e-3 env="1"`:          "the environment is NAME=value",
		`sweep lr=1e-3`:                   "d_model= is missing",
		`sweep lr=1e-3 d_model=8 slots=2`: "slots= is for command=",
		`sweep command="t {lr} {tokens}" lr=1..2 x1999 tokens=[1,2]`: "more than 2000 runs",
	} {
		s := computed(t, "```eta\nr = "+text+"\n```\n")
		if err := cell(t, s, "r").Err; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}
