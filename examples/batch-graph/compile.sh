echo "compiled 3 files"
