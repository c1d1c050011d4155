# Stands in for `npm ci`, `pip install`, ...: fetches each package of lock.txt that is not there.
while read -r name version; do
  if [ -f "vendor/$name-$version/package" ]; then
    echo "found $name $version"
  else
    echo "fetching $name $version"
    mkdir -p "vendor/$name-$version"
    echo "$name@$version" > "vendor/$name-$version/package"
  fi
done < lock.txt
