package importers

import (
	"strings"
	"testing"
)

// What was readable of a damaged file is kept, and a note names the file, the place
// and the cause.
func TestDamagedFiles(t *testing.T) {
	rows := "lr: 1 2\nloss: 3 4\n"
	tests := []struct{ what, name, content, want, note string }{
		{"a bare quote", "x.csv", "lr,loss\n1,3\n2,4\n3,5\"\n4,6\n", rows, `line 4: column "loss": has a quote within an unquoted field`},
		{"a quote that goes on", "x.csv", "lr,loss\n1,3\n2,4\n\"3\"0,5\n4,6\n", rows, `line 4: column "lr": has a quoted field that goes on after its closing quote`},
		{"a quote never closed", "x.csv", "lr,loss\n1,3\n2,4\n\"3,5\n4,6\n", rows, `line 4: column "lr": begins a quoted field that is never closed`},
		{"a field too many", "x.csv", "lr,loss\n1,3\n9,9,9\n2,4\n", rows, "1 row with the wrong number of fields left out (line 3)"},
		{"a field too few", "x.tsv", "lr\tloss\n1\t3\n9\n2\t4\n", rows, "1 row with the wrong number of fields left out (line 3)"},
		{"two such rows", "x.csv", "lr,loss\n9\n1,3\n9,9,9\n2,4\n", rows, "2 rows with the wrong number of fields left out (lines 2, 4)"},
		{"a last line cut off", "x.csv", "lr,loss\n1,3\n2,4\n3", rows, "1 row with the wrong number of fields left out (line 4)"},
		{"words cut off", "x.csv", "lr,loss\n1,3\n2,4\na,b,c", rows, "1 row with the wrong number of fields left out (line 4)"},
		{"a number cut off", "x.csv", "lr,loss\n1,3\n2,4\n3,5e-", rows, `line 4: column "loss": the file ends within the number "5e-"; the row is left out`},
		{"a number cut off, read twice", "x.csv", "lr,n,loss\n1,1,3\n2,x,4\n3,y,-", "lr: 1 2\nn' 1 x\nloss: 3 4\n", `the file ends within the number "-"`},
		{"NUL at the end", "x.csv", "lr,loss\n1,3\n2,4\n3,\x00\x00", rows, "byte 18 is NUL; what comes before is read"},
		{"NUL in a number", "x.csv", "lr,loss\n1,3\n2,4\n3,5\x00\x00\n", rows, "byte 19 is NUL; what comes before is read"},
		{"NUL far on", "x.csv", "lr,loss\n1,3\n2,4\n" + strings.Repeat("\n", headSize) + "\x00", rows, "byte 65552 is NUL; what comes before is read"},
		{"NUL, read twice", "x.csv", "lr,loss\n1,3\n2,x\n\x00", "lr: 1 2\nloss' 3 x\n", "byte 16 is NUL; what comes before is read"},
		{"a block with columns of its own", "x.csv", "lr,loss\n1,3\nlr,c,loss\n2,9,4\n\"x\"y,3,1\n", "lr: 1 2\nloss: 3 4\nc: _ 9\n", `line 5: column "lr"`},
		{"a short row of Markdown", "x.md", "|lr|loss|\n|-|-|\n|1|3|\n|9|\n|2|4|\n", rows, "1 row with the wrong number of fields left out (line 4)"},
		{"NUL in Markdown", "x.md", "|lr|loss|\n|-|-|\n|1|3|\n|2|4|\n\x00", rows, "byte 28 is NUL; what comes before is read"},
		{"no value", "x.jsonl", "{\"lr\": 1, \"loss\": 3}\n{\"lr\": }\n{\"lr\": 2, \"loss\": 4}\n", rows, `line 2: expected a value, found "}"; the record is left out`},
		{"killed and started again", "x.jsonl", "{\"lr\": 1, \"loss\": 3}\n{\"lr\": [1,\n{\"lr\": 2, \"loss\": 4}\n", rows, `line 2: the record ends too early; the record is left out`},
		{"words between", "x.jsonl", "{\"lr\": 1, \"loss\": 3}\nTraceback:\n  line 1\n{\"lr\": 2, \"loss\": 4}\n{\"lr\n{\"lr", rows, `2 damaged records are left out, the first: line 2: expected an object {…}, found "Traceback"`},
		{"words at the end", "x.jsonl", "{\"lr\": 1, \"loss\": 3}\n{\"lr\": 2, \"loss\": 4}\nKilled\n", rows, `line 3: expected an object {…}, found "Killed"; what comes before is read`},
		{"records over lines", "x.json", "{\n \"lr\": 1,\n \"loss\": 3\n}\n{\n \"lr\": oops,\n {\n}\n{\"lr\": 2, \"loss\": 4}\n", rows, `line 6: expected a value, found "oops"; the record is left out`},
		{"a list cut off", "x.json", `[{"lr": 1, "loss": 3}, {"lr": 2, "loss": 4}, {"lr`, rows, "line 1: the last record is incomplete and left out"},
		{"a list never closed", "x.json", "[{\"lr\": 1, \"loss\": 3},\n{\"lr\": 2, \"loss\": 4},\n", rows, "line 3: the file ends within its list; what comes before is read"},
		{"a list in an object cut off", "x.json", "{\"runs\": [{\"lr\": 1, \"loss\": 3},\n{\"lr\": 2, \"loss\": 4}, {\"lr\": ", rows, "line 2: the record ends too early; what comes before is read"},
		{"a list in an object never closed", "x.json", "{\"runs\": [{\"lr\": 1, \"loss\": 3},\n{\"lr\": 2, \"loss\": 4}", rows, "line 2: the file ends within its list"},
		{"NUL in JSON lines", "x.jsonl", "{\"lr\": 1, \"loss\": 3}\n{\"lr\": 2, \"loss\": 4}\n\x00\x00", rows, "byte 42 is NUL; what comes before is read"},
	}
	for _, tt := range tests {
		for _, chunk := range []int{7, chunkSize} {
			path := file(t, tt.name, tt.content)
			tb, err := read(t.Context(), path, Options{}, chunk)
			if err != nil {
				t.Errorf("%s: %v", tt.what, err)
				continue
			}
			if got := dump(tb); got != tt.want {
				t.Errorf("%s: %s", tt.what, got)
			}
			readUpTo(t, path, tb, nil, tt.note)
		}
	}
}
