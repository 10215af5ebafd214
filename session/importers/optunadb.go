package importers

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/etastar/etastar/session/importers/sqlite"
)

// trial is a row of Optuna's table of trials, with what other tables say of it.
type trial struct {
	number, study, state, start, end sqlite.Value

	values, params, attrs []attribute
	step                  int64 // of the last intermediate value
	intermediate          *sqlite.Value
}

// attribute is a value under a name.
type attribute struct {
	name  string
	value sqlite.Value
}

// optuna reads the trials of an Optuna storage, under the names that Optuna's own
// CSV has. Trials that did not complete are left out, as there.
func (d *database) optuna() error {
	studies, directions := map[int64]string{}, map[int64][]string{}
	err := d.each("studies", []string{"study_id", "study_name", "direction"}, func(v []sqlite.Value) {
		studies[v[0].Int] = string(v[1].Bytes)
		if len(v[2].Bytes) > 0 { // before Optuna 3
			directions[v[0].Int] = []string{string(v[2].Bytes)}
		}
	})
	if err != nil {
		return err
	}
	err = d.each("study_directions", []string{"study_id", "direction"}, func(v []sqlite.Value) {
		if len(directions[v[0].Int]) < 100 {
			directions[v[0].Int] = append(directions[v[0].Int], string(v[1].Bytes))
		}
	})
	if err != nil {
		return err
	}
	trials, damage := d.trials(studies, directions)
	if damage != nil && len(trials) == 0 {
		return damage
	}
	if len(trials) == 0 {
		return errors.New("the storage of Optuna has no trials")
	}
	d.rows.parser.leaves = d.rows.parser.leaves[:0]
	left := map[string]int{}
	for i, t := range trials {
		if s := string(t.state.Bytes); s != "COMPLETE" {
			left[s]++
			continue
		}
		d.cell("number", t.number)
		if len(studies) > 1 {
			d.cell("study", t.study)
		}
		for _, list := range [][]attribute{t.values, t.params, t.attrs} {
			for _, v := range list {
				d.cell(v.name, v.value)
			}
		}
		d.cell("datetime_start", t.start)
		d.cell("datetime_complete", t.end)
		if t.intermediate != nil {
			d.cell("intermediate_step", sqlite.Value{Kind: sqlite.Integer, Int: t.step})
			d.cell("intermediate_value", *t.intermediate)
		}
		if err := d.put(i + 1); err != nil {
			return err
		}
	}
	if d.job.first {
		d.optunaNotes(studies, directions, left, len(trials))
	}
	if d.rows.row == 0 {
		return fmt.Errorf("none of the %d trials is complete (%s)", len(trials), tally(left))
	}
	return damage
}

func (d *database) optunaNotes(studies map[int64]string, directions map[int64][]string, left map[string]int, all int) {
	seen := map[string]bool{}
	for id := range studies {
		for _, w := range directions[id] {
			seen[w] = true
		}
	}
	note := "values are the objectives of studies, which go in both directions: where study == … takes one"
	switch {
	case !seen["MAXIMIZE"]:
		note = "value: the study's objective, which it minimises: say loss=value if it is a loss"
	case !seen["MINIMIZE"]:
		note = "value: the study's objective, which it maximises, so it is no loss: say loss=-value to minimise the opposite"
	}
	d.job.cols.note("%s", note)
	if n := all - d.rows.row; n > 0 {
		d.job.cols.note("%d of %d trials are left out, which did not complete (%s)", n, all, tally(left))
	}
}

// trials reads the trials in the order of their numbers. What is damaged ends it.
func (d *database) trials(studies map[int64]string, directions map[int64][]string) ([]*trial, error) {
	var list []*trial
	byID := map[int64]*trial{}
	err := d.each("trials", []string{"trial_id", "number", "study_id", "state", "datetime_start", "datetime_complete", "value"}, func(v []sqlite.Value) {
		t := &trial{number: v[1], state: kept(v[3]), start: kept(v[4]), end: kept(v[5])}
		t.study = sqlite.Value{Kind: sqlite.Text, Bytes: []byte(studies[v[2].Int])}
		if v[6].Kind != sqlite.Null { // before Optuna 3
			t.values = append(t.values, attribute{"value", v[6]})
		}
		byID[v[0].Int] = t
		list = append(list, t)
	})
	several := false
	for _, w := range directions {
		several = several || len(w) > 1
	}
	steps := []func() error{
		func() error {
			return d.each("trial_values", []string{"trial_id", "objective", "value", "value_type"}, func(v []sqlite.Value) {
				if t := byID[v[0].Int]; t != nil {
					name := "value"
					if several {
						name = fmt.Sprintf("values_%d", v[1].Int)
					}
					t.values = append(t.values, attribute{name, typedFloat(v[2], v[3])})
				}
			})
		},
		func() error {
			return d.each("trial_params", []string{"trial_id", "param_name", "param_value", "distribution_json"}, func(v []sqlite.Value) {
				if t := byID[v[0].Int]; t != nil {
					t.params = append(t.params, attribute{"params_" + string(v[1].Bytes), paramValue(v[2], v[3].Bytes)})
				}
			})
		},
		func() error {
			return d.each("trial_user_attributes", []string{"trial_id", "key", "value_json"}, func(v []sqlite.Value) {
				if t := byID[v[0].Int]; t != nil {
					t.attrs = append(t.attrs, attribute{"user_attrs_" + string(v[1].Bytes), jsonValue(v[2].Bytes)})
				}
			})
		},
		func() error {
			return d.each("trial_intermediate_values", []string{"trial_id", "step", "intermediate_value", "intermediate_value_type"}, func(v []sqlite.Value) {
				if t := byID[v[0].Int]; t != nil && (t.intermediate == nil || v[1].Int >= t.step) {
					value := typedFloat(v[2], v[3])
					t.step, t.intermediate = v[1].Int, &value
				}
			})
		},
	}
	for _, step := range steps {
		if err == nil {
			err = step()
		}
	}
	slices.SortStableFunc(list, func(a, b *trial) int {
		if c := strings.Compare(string(a.study.Bytes), string(b.study.Bytes)); c != 0 {
			return c
		}
		return int(max(min(a.number.Int-b.number.Int, 1), -1))
	})
	return list, err
}

// typedFloat reads a value that Optuna keeps apart from its type, since not every
// database has infinities.
func typedFloat(v, kind sqlite.Value) sqlite.Value {
	switch string(kind.Bytes) {
	case "INF_POS":
		return sqlite.Value{Kind: sqlite.Float, Float: math.Inf(1)}
	case "INF_NEG":
		return sqlite.Value{Kind: sqlite.Float, Float: math.Inf(-1)}
	case "NAN":
		return sqlite.Value{Kind: sqlite.Float, Float: math.NaN()}
	}
	return v
}

// paramValue reads a parameter: of one that is chosen from a list, the storage has
// the number of the choice.
func paramValue(v sqlite.Value, distribution []byte) sqlite.Value {
	var of struct {
		Name       string `json:"name"`
		Attributes struct {
			Choices []json.RawMessage `json:"choices"`
		} `json:"attributes"`
	}
	n, ok := v.Number()
	if !ok || json.Unmarshal(distribution, &of) != nil || of.Name != "CategoricalDistribution" {
		return v
	}
	if n < 0 || n >= float64(len(of.Attributes.Choices)) || n != math.Trunc(n) {
		return sqlite.Value{}
	}
	return jsonValue(of.Attributes.Choices[int(n)])
}

// jsonValue is a JSON value as a cell: null is blank.
func jsonValue(b []byte) sqlite.Value {
	if len(b) > maxList || string(b) == "null" {
		return sqlite.Value{}
	}
	return sqlite.Value{Kind: sqlite.Text, Bytes: []byte(string(unquoted(b)))}
}
