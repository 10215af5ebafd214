package sqlite

import (
	"strconv"
	"strings"
)

// Table is a table of the schema.
type Table struct {
	Name    string
	Columns []string

	root     uint32
	key      int     // the column that is the row id, or -1
	defaults []Value // of columns that were added later
}

// schema reads the table of tables, on page 1 (2.6).
func (db *DB) schema() error {
	master := &Table{Name: "sqlite_schema", Columns: []string{"type", "name", "tbl_name", "rootpage", "sql"}, root: 1, key: -1, defaults: make([]Value, 5)}
	return db.Rows(master, func(v []Value) error {
		name := string(v[1].Bytes)
		if string(v[0].Bytes) != "table" || v[3].Int <= 0 || v[3].Int > int64(db.pages) || strings.HasPrefix(name, "sqlite_") {
			return nil
		}
		t, ok := parseTable(string(v[4].Bytes))
		if !ok {
			return nil // without row ids, or no table
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
	key, isInteger := "", map[string]bool{}
	take := func() {
		if len(item) == 0 {
			return
		}
		if primary := tableConstraint(item); primary != nil {
			if len(primary) == 1 {
				key = primary[0]
			}
		} else if !item[0].any("CONSTRAINT", "UNIQUE", "CHECK", "FOREIGN", "PRIMARY") {
			c := columnDefinition(item[1:])
			if c.stored {
				name := strings.ToValidUTF8(item[0].text, "�")
				if c.primary {
					key = strings.ToLower(name)
				}
				isInteger[strings.ToLower(name)] = c.integer
				t.Columns = append(t.Columns, name)
				t.defaults = append(t.defaults, c.standard)
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
	for _, tok := range tokens[min(end, len(tokens)):] {
		if tok.is("WITHOUT") {
			return t, false
		}
	}
	for i, name := range t.Columns {
		if strings.ToLower(name) == key && isInteger[key] {
			t.key = i
		}
	}
	return t, len(t.Columns) > 0
}

// tableConstraint returns the columns of a PRIMARY KEY that is an item of its own.
func tableConstraint(item []token) []string {
	if item[0].is("CONSTRAINT") && len(item) > 2 {
		item = item[2:]
	}
	if len(item) < 4 || !item[0].is("PRIMARY") || !item[1].is("KEY") || item[2].text != "(" {
		return nil
	}
	var names []string
	for _, tok := range item[3:] {
		switch {
		case tok.quoted || tok.text != ")" && tok.text != "," && !tok.any("ASC", "DESC"):
			names = append(names, strings.ToLower(tok.text))
		case tok.text == ")":
			return names
		}
	}
	return names
}

type columnFacts struct {
	integer, primary, stored bool
	standard                 Value
}

// columnDefinition reads what follows a column's name.
func columnDefinition(rest []token) columnFacts {
	c := columnFacts{stored: true}
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
			// INTEGER PRIMARY KEY DESC is, for historical reasons, not the row id.
			c.primary = i+2 >= len(rest) || !rest[i+2].is("DESC")
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
