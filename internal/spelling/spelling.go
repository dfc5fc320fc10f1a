// Package spelling measures how far two words are apart, so that a misspelt name can be answered with the one that was
// probably meant. Which distance is near enough is left to the callers, who know what else the word could be.
package spelling

// Distance returns the least number of letters that have to be inserted, left out, replaced or swapped with their
// neighbour to make b of a (the optimal string alignment distance of Damerau and Levenshtein). It compares bytes.
func Distance(a, b string) int {
	// before, last and this are rows of the table of distances between the beginnings of a and b.
	before, last, this := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range this {
		this[j] = j
	}
	for i := range len(a) {
		before, last, this = last, this, before
		this[0] = i + 1
		for j := range len(b) {
			replaced := last[j]
			if a[i] != b[j] {
				replaced++
			}
			this[j+1] = min(replaced, last[j+1]+1, this[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				this[j+1] = min(this[j+1], before[j-1]+1)
			}
		}
	}
	return this[len(b)]
}
