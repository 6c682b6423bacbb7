# By id, by name, or by the project's name and the database's. Every argument is filled in.
terraform import berth_database.orders shop/orders
