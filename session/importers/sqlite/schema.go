package sqlite

import (
	"slices"
	"strconv"
	"strings"
)

// Table is a table of the schema.
type Table struct {
	Name    string
	Columns []string

	root     uint32
	key      int     // the column that is the row id, or -1
	rowless  bool    // WITHOUT ROWID: the rows are those of an index (2.4)
	stored   []int   // the columns in the order of a record
	defaults []Value // of columns that were added later
}

// schema reads the table of tables, on page 1 (2.6).
func (db *DB) schema() error {
	master := &Table{Name: "sqlite_schema", Columns: []string{"type", "name", "tbl_name", "rootpage", "sql"}, root: 1, key: -1, stored: []int{0, 1, 2, 3, 4}, defaults: make([]Value, 5)}
	return db.Rows(master, func(v []Value) error {
		name := string(v[1].Bytes)
		if string(v[0].Bytes) != "table" || v[3].Int <= 0 || v[3].Int > int64(db.pages) || strings.HasPrefix(name, "sqlite_") {
			return nil
		}
		t, ok := parseTable(string(v[4].Bytes))
		if !ok {
			return nil
		}
		t.Name, t.root = strings.ToValidUTF8(name, "�"), uint32(v[3].Int)
		db.tables = append(db.tables, t)
		return nil
	})
}

// parseTable reads the columns from CREATE TABLE, as SQLite stores it.
func parseTable(sql string) (Table, bool) {
	t := Table{key: -1}
	tokens := tokenize(sql)
	open := 0
	for open < len(tokens) && tokens[open].text != "(" {
		open++
	}
	if open == len(tokens) || !tokens[0].is("CREATE") {
		return t, false
	}
	var item []token
	end := open + 1
	var key []keyColumn
	var facts []columnFacts
	take := func() {
		if len(item) == 0 {
			return
		}
		if primary := tableConstraint(item); primary != nil {
			key = primary
		} else if !item[0].any("CONSTRAINT", "UNIQUE", "CHECK", "FOREIGN", "PRIMARY") {
			c := columnDefinition(item[1:])
			if c.stored {
				if c.primary {
					key = []keyColumn{{name: item[0].text}}
				}
				t.stored = append(t.stored, len(t.Columns))
				t.Columns = append(t.Columns, strings.ToValidUTF8(item[0].text, "�"))
				t.defaults = append(t.defaults, c.standard)
				facts = append(facts, c)
			}
		}
		item = nil
	}
	for depth := 1; end < len(tokens); end++ {
		switch tok := tokens[end]; {
		case tok.quoted:
		case tok.text == "(":
			depth++
		case tok.text == ")":
			depth--
		case tok.text == "," && depth == 1:
			take()
			continue
		}
		if depth == 0 {
			break
		}
		item = append(item, tokens[end])
	}
	take()
	t.rowless = slices.ContainsFunc(tokens[min(end, len(tokens)):], func(tok token) bool { return tok.is("WITHOUT") })
	if t.rowless {
		t.keyFirst(key, facts)
	} else if len(key) == 1 {
		// INTEGER PRIMARY KEY DESC is, for historical reasons, not the row id.
		if i := t.column(key[0].name); i >= 0 && facts[i].integer && !facts[i].descending {
			t.key = i
		}
	}
	return t, len(t.Columns) > 0
}

// column finds a column as SQL does, whose names have no case; -1 if there is none.
func (t *Table) column(name string) int {
	name = strings.ToValidUTF8(name, "�")
	return slices.IndexFunc(t.Columns, func(c string) bool { return strings.EqualFold(c, name) })
}

// keyFirst puts the columns of the primary key before the others, as the records of a
// table without row ids have them: once each, unless they are compared in several ways
// (2.4.1).
func (t *Table) keyFirst(key []keyColumn, facts []columnFacts) {
	others := t.stored
	t.stored = nil
	var seen []keyColumn
	for _, k := range key {
		i := t.column(k.name)
		if i < 0 {
			continue
		}
		if k = (keyColumn{t.Columns[i], k.collation}); k.collation == "" {
			k.collation = facts[i].collation
		}
		if !slices.Contains(seen, k) {
			seen, t.stored = append(seen, k), append(t.stored, i)
		}
		others = slices.DeleteFunc(others, func(o int) bool { return o == i })
	}
	t.stored = append(t.stored, others...)
}

// keyColumn is a column of a primary key, and how it is compared; "": as its column says.
type keyColumn struct{ name, collation string }

// tableConstraint returns the columns of a PRIMARY KEY that is an item of its own.
func tableConstraint(item []token) []keyColumn {
	if item[0].is("CONSTRAINT") && len(item) > 2 {
		item = item[2:]
	}
	if len(item) < 4 || !item[0].is("PRIMARY") || !item[1].is("KEY") || item[2].text != "(" {
		return nil
	}
	var key []keyColumn
	for i, tok := range item[3:] {
		before := item[i+2]
		switch {
		case before.text == "(" || before.text == "," && !before.quoted:
			key = append(key, keyColumn{name: tok.text})
		case before.is("COLLATE"):
			key[len(key)-1].collation = strings.ToUpper(tok.text)
		case tok.text == ")" && !tok.quoted:
			return key
		}
	}
	return key
}

type columnFacts struct {
	integer, primary, descending, stored bool
	collation                            string
	standard                             Value
}

// columnDefinition reads what follows a column's name.
func columnDefinition(rest []token) columnFacts {
	c := columnFacts{stored: true, collation: "BINARY"}
	c.integer = len(rest) > 0 && rest[0].is("INTEGER")
	depth := 0
	for i, tok := range rest {
		switch {
		case tok.quoted:
		case tok.text == "(":
			depth++
		case tok.text == ")":
			depth--
		case depth > 0:
		case tok.is("PRIMARY"):
			c.primary = true
			c.descending = i+2 < len(rest) && rest[i+2].is("DESC")
		case tok.is("COLLATE") && i+1 < len(rest):
			c.collation = strings.ToUpper(rest[i+1].text)
		case tok.is("DEFAULT") && i+1 < len(rest):
			c.standard = literal(rest[i+1:])
		case tok.is("AS"):
			c.stored = false // computed when read
		case tok.is("STORED"):
			c.stored = true
		}
	}
	return c
}

// literal reads a constant; what is computed is Null.
func literal(tokens []token) Value {
	text, sign := tokens[0].text, ""
	if (text == "-" || text == "+") && !tokens[0].quoted && len(tokens) > 1 {
		sign, text = text, tokens[1].text
	}
	if tokens[0].quoted {
		return Value{Kind: Text, Bytes: []byte(text)}
	}
	if n, err := strconv.ParseInt(sign+text, 10, 64); err == nil {
		return Value{Kind: Integer, Int: n}
	}
	if f, err := strconv.ParseFloat(sign+text, 64); err == nil {
		return Value{Kind: Float, Float: f}
	}
	switch {
	case tokens[0].is("TRUE"):
		return Value{Kind: Integer, Int: 1}
	case tokens[0].is("FALSE"):
		return Value{Kind: Integer}
	}
	return Value{}
}

// token is a word, a number, a quoted text or a sign of a statement.
type token struct {
	text   string
	quoted bool
}

func (t token) is(word string) bool { return !t.quoted && strings.EqualFold(t.text, word) }

func (t token) any(words ...string) bool {
	for _, w := range words {
		if t.is(w) {
			return true
		}
	}
	return false
}

func tokenize(sql string) []token {
	var out []token
	for len(sql) > 0 {
		c := sql[0]
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f':
			sql = sql[1:]
		case strings.HasPrefix(sql, "--"):
			_, sql, _ = strings.Cut(sql, "\n")
		case strings.HasPrefix(sql, "/*"):
			_, sql, _ = strings.Cut(sql[2:], "*/")
		case strings.IndexByte("\"'`[", c) >= 0:
			var text string
			text, sql = quoted(sql)
			out = append(out, token{text, true})
		case isWord(c):
			n := 1
			for n < len(sql) && (isWord(sql[n]) || (sql[n] == '-' || sql[n] == '+') && (sql[n-1] == 'e' || sql[n-1] == 'E') && sql[0] <= '9') {
				n++
			}
			out = append(out, token{sql[:n], false})
			sql = sql[n:]
		default:
			out = append(out, token{sql[:1], false})
			sql = sql[1:]
		}
	}
	return out
}

func isWord(c byte) bool {
	return c == '_' || c == '$' || c == '.' || c >= 0x80 || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// quoted reads a quoted text, in which the quote is doubled.
func quoted(sql string) (text, rest string) {
	end := sql[0]
	if end == '[' {
		text, rest, _ = strings.Cut(sql[1:], "]")
		return text, rest
	}
	var b strings.Builder
	for i := 1; i < len(sql); i++ {
		if sql[i] == end {
			if i+1 == len(sql) || sql[i+1] != end {
				return b.String(), sql[i+1:]
			}
			i++
		}
		b.WriteByte(sql[i])
	}
	return b.String(), ""
}
