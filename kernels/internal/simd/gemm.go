package simd

// Block sizes of the packed copy of B: blockK×blockN floats, 384 KB, sit in the
// second-level cache while a panel of A, read blockK at a time, sits in the first.
const (
	blockK = 256
	blockN = 384

	// gatherRows is how many rows of a transposed A are copied at a time, in groups that
	// every micro-kernel's rows divide.
	gatherRows = 96
	group      = 12
)

// Mat is a matrix in memory: element (i, j) is V[i·Row + j·Col].
type Mat struct {
	V        []float32
	Row, Col int
}

// Rows is the matrix of which row i starts at v[i·stride].
func Rows(v []float32, stride int) Mat { return Mat{v, stride, 1} }

// T is the transpose of m.
func (m Mat) T() Mat { return Mat{m.V, m.Col, m.Row} }

// Work is the memory that a Gemm packs into. One goroutine at a time may use it.
type Work struct {
	a, b []float32
}

// NewWork allocates packing memory for this set.
func (s *Set) NewWork() *Work {
	return &Work{
		a: make([]float32, gatherRows*blockK),
		b: make([]float32, s.PackLen(blockK, blockN)),
	}
}

// Bytes is the size of the packing memory.
func (w *Work) Bytes() int64 { return 4 * int64(len(w.a)+len(w.b)) }

// Gemm computes C = α·A·B, or C += α·A·B with add; A is m×k, B k×n, and row i of C
// starts at c[i·ldc]. With k = 0 the product is zero.
func (s *Set) Gemm(w *Work, m, n, k int, alpha float32, a, b Mat, c []float32, ldc int, add bool) {
	if m <= 0 || n <= 0 {
		return
	}
	if k <= 0 {
		if !add {
			for i := range m {
				clear(c[i*ldc : i*ldc+n])
			}
		}
		return
	}
	// Few rows do not repay the copy of B, if its rows can be read as they are.
	if b.Col == 1 && m <= 2*s.tile {
		full := n - n%(2*s.lanes)
		s.GemmInPlace(m, full, k, alpha, a, b, c, ldc, add)
		b.V, c, n = b.V[min(full, len(b.V)):], c[min(full, len(c)):], n-full
	}
	for j := 0; j < n; j += blockN {
		nb := min(blockN, n-j)
		for l := 0; l < k; l += blockK {
			kb := min(blockK, k-l)
			packed := w.b[:s.PackLen(kb, nb)]
			s.Pack(packed, Mat{b.V[l*b.Row+j*b.Col:], b.Row, b.Col}, kb, nb)
			s.GemmPacked(w, m, nb, kb, alpha, Mat{a.V[l*a.Col:], a.Row, a.Col}, packed, kb, c[j:], ldc, add || l > 0)
		}
	}
}

// GemmInPlace is Gemm without a copy of B, whose rows are contiguous, for n a multiple
// of Width and k at least 1.
func (s *Set) GemmInPlace(m, n, k int, alpha float32, a, b Mat, c []float32, ldc int, add bool) {
	width := 2 * s.lanes
	for i := 0; i < m; {
		t := s.fit(m-i, 2)
		for j := 0; j < n; j += width {
			_ = b.V[(k-1)*b.Row+j+width-1]
			_, _ = a.V[(i+t.rows-1)*a.Row+(k-1)*a.Col], c[(i+t.rows-1)*ldc+j+width-1]
			t.run(k, &a.V[i*a.Row], a.Row, a.Col, &b.V[j], b.Row, &c[i*ldc+j], ldc, width, alpha, flag(add))
		}
		i += t.rows
	}
}

// Width is the number of columns of a panel of packed B.
func (s *Set) Width() int { return 2 * s.lanes }

// Tile is the number of rows of C that the largest micro-kernel computes.
func (s *Set) Tile() int { return s.tile }

// fit is the largest micro-kernel for that many rows.
func (s *Set) fit(rows, vectors int) *micro {
	list := s.micro[vectors-1]
	for i := range list {
		if list[i].rows <= rows {
			return &list[i]
		}
	}
	return &list[len(list)-1]
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// lastPanel is the width of what is left after the full panels of n columns.
func (s *Set) lastPanel(n int) int {
	rest := n % (2 * s.lanes)
	switch {
	case rest == 0:
		return 0
	case rest <= s.lanes:
		return s.lanes
	default:
		return 2 * s.lanes
	}
}

// PackLen is the number of floats that Pack writes for a k×n matrix.
func (s *Set) PackLen(k, n int) int {
	return k * (n - n%(2*s.lanes) + s.lastPanel(n))
}

// Pack copies the k×n matrix b into panels of columns, each panel row by row, the
// last one filled up with zeros: the order in which the micro-kernels read it.
func (s *Set) Pack(dst []float32, b Mat, k, n int) {
	j := 0
	if full := n / (2 * s.lanes); b.Col == 1 && s.gatherPanels != nil && full > 0 && k > 0 {
		j = full * 2 * s.lanes
		_, _ = dst[k*j-1], b.V[(k-1)*b.Row+j-1]
		s.gatherPanels(&dst[0], &b.V[0], b.Row, k, full)
		dst = dst[k*j:]
	}
	for j < n {
		width := 2 * s.lanes
		if n-j < width {
			width = s.lastPanel(n)
		}
		cols := min(width, n-j)
		s.packPanel(dst[:k*width], Mat{b.V[j*b.Col:], b.Row, b.Col}, k, cols, width)
		dst = dst[k*width:]
		j += cols
	}
}

func (s *Set) packPanel(dst []float32, b Mat, k, cols, width int) {
	if b.Col == 1 {
		for l := range k {
			row := dst[l*width : l*width+width]
			copy(row, b.V[l*b.Row:l*b.Row+cols])
			if cols < width {
				clear(row[cols:])
			}
		}
		return
	}
	if cols < width {
		clear(dst)
	}
	if b.Row == 1 {
		s.Transpose(dst, width, b.V, b.Col, cols, k)
		return
	}
	for j := range cols {
		col := b.V[j*b.Col:]
		for l := range k {
			dst[l*width+j] = col[l*b.Row]
		}
	}
}

// Transpose is dst[j·ldd+i] = src[i·lds+j] for i < rows, j < cols.
func (s *Set) Transpose(dst []float32, ldd int, src []float32, lds, rows, cols int) {
	i, whole := 0, cols-cols%8
	if s.transpose != nil && whole > 0 {
		for ; i+8 <= rows; i += 8 {
			_, _ = dst[(whole-1)*ldd+i+7], src[(i+7)*lds+whole-1]
			s.transpose(&dst[i], &src[i*lds], lds, whole, ldd)
			for j := whole; j < cols; j++ {
				for r := i; r < i+8; r++ {
					dst[j*ldd+r] = src[r*lds+j]
				}
			}
		}
	}
	for ; i < rows; i++ {
		row := src[i*lds : i*lds+cols]
		for j, v := range row {
			dst[j*ldd+i] = v
		}
	}
}

// GemmPacked is Gemm with B packed beforehand, of which it uses the first k of depth
// rows and the first n columns; unless n is all of them it is a multiple of Width.
func (s *Set) GemmPacked(w *Work, m, n, k int, alpha float32, a Mat, packed []float32, depth int, c []float32, ldc int, add bool) {
	if m <= 0 || n <= 0 || k <= 0 {
		return
	}
	width := 2 * s.lanes
	_, _ = a.V[(m-1)*a.Row+(k-1)*a.Col], c[(m-1)*ldc+n-1]
	_ = packed[s.PackLen(depth, n)-depth+k-1]
	// A column of A spread over many lines is gathered once for all panels of B, and
	// for many rows of A at once, so that whole lines are used.
	gather := a.Col > 1 && n > 2*width && k <= blockK
	// Rows of A a multiple of 4 KB apart compete for the same lines of the cache; their copy
	// lies elsewhere.
	spread := a.Col == 1 && a.Row%1024 == 0 && n > 4*width && k <= blockK
	first, until := 0, 0 // rows that lie in w.a
	for i := 0; i < m; {
		t := s.fit(m-i, 2)
		from, rs, cs := &a.V[i*a.Row], a.Row, a.Col
		if gather && t.rows == s.tile {
			if i >= until {
				first, until = i, i+min(gatherRows, (m-i)/s.tile*s.tile)
				s.gather(w.a, a, i, k, until-i)
			}
			at := i - first
			from, rs, cs = &w.a[at/group*k*group+at%group], 1, group
		}
		if spread {
			rs = k + 16
			for r := range t.rows {
				copy(w.a[r*rs:r*rs+k], a.V[(i+r)*a.Row:])
			}
			from = &w.a[0]
		}
		for j := 0; j < n; j += width {
			cols, kern, bs := min(width, n-j), t, width
			if cols <= s.lanes {
				kern, bs = s.fit(t.rows, 1), s.lanes
			}
			kern.run(k, from, rs, cs, &packed[j*depth], bs, &c[i*ldc+j], ldc, cols, alpha, flag(add))
		}
		i += t.rows
	}
}

// gather copies rows of A from row i on in groups of 12, one group after another, each
// k-major.
func (s *Set) gather(dst []float32, a Mat, i, k, rows int) {
	src := a.V[i*a.Row:]
	done := 0
	if groups := rows / group; a.Row == 1 && s.gatherRows != nil && groups > 0 {
		done = groups * group
		_, _ = dst[done*k-1], src[(k-1)*a.Col+done-1]
		s.gatherRows(&dst[0], &src[0], a.Col, k, groups)
	}
	for r := done; r < rows; r++ {
		to := dst[r/group*k*group+r%group:]
		for l := range k {
			to[l*group] = src[l*a.Col+r*a.Row]
		}
	}
}
