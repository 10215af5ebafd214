package importers

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/etastar/etastar/session/table"
)

// openCompassHead begins the header of a summary: a column for each model follows.
var openCompassHead = []string{"dataset", "version", "metric", "mode"}

func sniffOpenCompass(head []byte) int {
	names := headerNames(head, openCompassHead[0])
	if len(names) > len(openCompassHead) && slices.Equal(names[:len(openCompassHead)], openCompassHead) {
		return 96
	}
	return 0
}

// questions are how many a benchmark has in its test part: MMLU as it is distributed
// (arXiv 2009.03300), CMMLU (arXiv 2306.09212, section 3).
var questions = map[string]float64{"mmlu": 14042, "cmmlu": 11528}

// scanOpenCompass reads a summary of OpenCompass, a row a model and data set: "model",
// "dataset", "metric", "mode", "score" as it stands there, mostly in percent, and
// "questions" where their number is known.
func scanOpenCompass(j *job) error {
	j.edit = scoresOf
	err := scanCSV(j)
	if !slices.EqualFunc(openCompassHead, j.cols.list[:min(len(openCompassHead), len(j.cols.list))], func(name string, c *column) bool { return c.name == name }) {
		j.cols.list = nil
		err = cmp.Or(err, fmt.Errorf("this is no summary of OpenCompass: the header of one begins with %s", strings.Join(openCompassHead, ", ")))
	}
	return err
}

func scoresOf(t *table.Table) *table.Table {
	names := []string{"model", "dataset", "metric", "mode"}
	words := make([]*dictionary, len(names))
	out := &table.Table{Source: t.Source, Notes: t.Notes}
	for i, name := range names {
		words[i] = newDictionary()
		out.Columns = append(out.Columns, &table.Column{Name: name, Kind: table.Text})
	}
	score, count := &table.Column{Name: "score"}, &table.Column{Name: "questions"}
	for _, model := range t.Columns[len(openCompassHead):] {
		for i := range t.Rows {
			v := table.Missing
			if model.Kind == table.Number {
				v = model.Numbers[i]
			} else if n, _, ok := parseCell([]byte(model.String(i)), false); ok {
				v = n
			}
			if table.IsMissing(v) {
				continue // "-": the data set was not run on it
			}
			dataset := t.Columns[0].String(i)
			for k, w := range []string{model.Name, dataset, t.Columns[2].String(i), t.Columns[3].String(i)} {
				out.Columns[k].Codes = append(out.Columns[k].Codes, words[k].code([]byte(w)))
			}
			score.Numbers = append(score.Numbers, v)
			n, ok := questions[strings.ToLower(dataset)]
			if !ok {
				n = table.Missing
			}
			count.Numbers = append(count.Numbers, n)
			out.Lines = append(out.Lines, int32(t.Line(i)))
			out.Rows++
		}
	}
	for i := range names {
		out.Columns[i].Words = words[i].words
	}
	out.Columns = append(out.Columns, score, count)
	return out
}
