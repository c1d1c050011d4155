echo "main.c:3: line too long"
exit 1
