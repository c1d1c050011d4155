echo "lint.sh:2: line ends with a blank "
grep -n ' "$' "$0" && exit 3
